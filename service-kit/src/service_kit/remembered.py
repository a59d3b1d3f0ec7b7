"""A cache for values that many requests need at the same time and that may be slightly stale."""

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class Remembered(Generic[_Value]):
    """Caches values by key.

    :param seconds: maximum age of a value.
    :param most: maximum number of values.
    """

    def __init__(self, seconds: float, most: int = 1000, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._values: dict[Hashable, tuple[float, _Value]] = {}

    def get(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        """Return the value for the key; compute it if it is missing or too old."""
        known = self._values.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        value = make()
        if len(self._values) >= self._most:
            self._values.clear()
        self._values[key] = self._clock() + self._seconds, value
        return value
