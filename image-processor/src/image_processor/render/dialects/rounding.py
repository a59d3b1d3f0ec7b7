"""Rounds numbers as the peers do."""

import math


def half_up(value: float) -> int:
    """Return the nearest integer; round a half away from zero."""
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)


def half_even(value: float) -> int:
    """Return the nearest integer; round a half to the even one."""
    return round(value)
