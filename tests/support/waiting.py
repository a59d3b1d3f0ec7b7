"""Waiting for a state: a slow machine is no failure."""

import time
from collections.abc import Callable
from typing import TypeVar

STATE_SECONDS = 120
"""Far longer than any state takes, and shorter than a test may take."""

Found = TypeVar("Found")


def wait_until(look: Callable[[], Found | None], state: str = "") -> Found:
    """Call ``look`` until it returns something true, and return that.

    :param state: what is waited for, where the call itself does not say it.
    :raises AssertionError: nothing true came within :data:`STATE_SECONDS`.
    """
    deadline = time.monotonic() + STATE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {STATE_SECONDS} seconds: {state or look}"
        time.sleep(0.02)
    return found
