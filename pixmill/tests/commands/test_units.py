"""Parsing of durations and sizes."""

import pytest
from pixmill.commands.units import ago, duration, size


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1.5h", 5400), ("2D", 172_800), ("1w", 604_800)])
def test_times(text: str, seconds: float) -> None:
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize(("text", "count"), [("500", 500), ("20kB", 20_000), ("1 MB", 10**6), ("2GiB", 2**31)])
def test_sizes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "h", "3y", "-1d", "9" * 400 + "d", "9" * 20 + "w"])
def test_what_is_not_a_time_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        duration(text)


@pytest.mark.parametrize("text", ["", "MB", "3TB", "-1", "9" * 400])
def test_what_is_not_a_size_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        size(text)


def test_a_time_before_the_calendar_is_an_error() -> None:
    with pytest.raises(ValueError, match="is not a time"):
        ago("900000d")
