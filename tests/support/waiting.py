"""Wait for a state instead of for a time: tests must not fail on a slow machine."""

import time
from collections.abc import Callable
from typing import TypeVar

STATE_SECONDS = 120
"""Far longer than any state takes, but shorter than the time limit of a test."""

Found = TypeVar("Found")


def wait_until(look: Callable[[], Found | None], state: str = "") -> Found:
    """Call ``look`` until it returns a true value; return that value.

    :param state: a description of the state, for the error message.
    :raises AssertionError: no true value within :data:`STATE_SECONDS`.
    """
    deadline = time.monotonic() + STATE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {STATE_SECONDS} seconds: {state or look}"
        time.sleep(0.02)
    return found
