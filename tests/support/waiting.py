"""Waits for a state instead of a fixed time, so that tests do not fail on a slow machine."""

import time
from collections.abc import Callable
from typing import TypeVar

STATE_SECONDS = 120
"""Far longer than any state takes to appear, but shorter than the time limit of a test."""

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.1
"""Seconds between two checks. They grow with the waiting time, because a check is often a request to a server."""

Found = TypeVar("Found")


def wait_until(look: Callable[[], Found | None], state: str = "") -> Found:
    """Call ``look`` until it returns a true value; return that value.

    :param state: a description of the state, for the error message.
    :raises AssertionError: there is no true value within :data:`STATE_SECONDS`.
    """
    deadline = time.monotonic() + STATE_SECONDS
    pause = FIRST_PAUSE
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {STATE_SECONDS} seconds: {state or look}"
        time.sleep(pause)
        pause = min(pause * 1.25, LONGEST_PAUSE)
    return found
