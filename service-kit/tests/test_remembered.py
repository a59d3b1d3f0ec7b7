"""Cached values that may be slightly stale."""

from collections.abc import Callable

from service_kit.remembered import Remembered


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def counter() -> Callable[[], int]:
    """Return a function that returns how often it was called."""
    calls = list[None]()

    def made() -> int:
        calls.append(None)
        return len(calls)

    return made


def test_a_value_is_made_again_when_it_is_too_old() -> None:
    clock, made = Clock(), counter()
    remembered = Remembered[int](1.0, clock=clock)

    first = remembered.get("key", made)
    clock.now = 0.9
    second = remembered.get("key", made)
    clock.now = 1.1
    third = remembered.get("key", made)

    assert [first, second, third] == [1, 1, 2]


def test_each_key_has_its_value() -> None:
    made = counter()
    remembered = Remembered[int](1.0, clock=Clock())

    assert [remembered.get(key, made) for key in ("a", "b", "a")] == [1, 2, 1]


def test_no_more_values_are_kept_than_allowed() -> None:
    made = counter()
    remembered = Remembered[int](1.0, most=2, clock=Clock())

    assert [remembered.get(key, made) for key in ("a", "b", "c", "a")] == [1, 2, 3, 4]
