"""Values that many ask for at the same time and that may be a moment old."""

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class Remembered(Generic[_Value]):
    """Remembers values by key.

    :param seconds: how old a value may be.
    :param most: how many are remembered.
    """

    def __init__(self, seconds: float, most: int = 1000, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._values: dict[Hashable, tuple[float, _Value]] = {}

    def get(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        """Return the value of the key; make it if it is missing or too old."""
        known = self._values.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        value = make()
        if len(self._values) >= self._most:
            self._values.clear()
        self._values[key] = self._clock() + self._seconds, value
        return value
