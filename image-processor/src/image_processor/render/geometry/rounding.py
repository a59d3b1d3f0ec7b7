"""Rounding as the peers do it."""

import math


def half_up(value: float) -> int:
    """Return the nearest integer; a half away from zero."""
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)


def half_even(value: float) -> int:
    """Return the nearest integer; a half to the even one."""
    return round(value)
