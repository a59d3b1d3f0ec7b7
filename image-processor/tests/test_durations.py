"""Durations as Docker Compose reads them."""

import pytest
from image_processor.durations import seconds_of


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        # The examples of the Compose specification.
        ("2.5s", 2.5),
        ("10s", 10),
        ("1m30s", 90),
        ("2h32m", 9120),
        ("5h34m56s", 20_096),
        # From the tests of Go's time.ParseDuration.
        ("0", 0),
        ("5s", 5),
        ("1478s", 1478),
        ("+5s", 5),
        ("5.0s", 5),
        ("5.6s", 5.6),
        ("5.s", 5),
        (".5s", 0.5),
        ("1.004s", 1.004),
        ("100.00100s", 100.001),
        ("10ns", 1e-8),
        ("11us", 11e-6),
        ("12µs", 12e-6),
        ("12μs", 12e-6),
        ("13ms", 0.013),
        ("3h30m", 12_600),
        ("10.5s4m", 250.5),
        ("1h2m3s4ms5us6ns", 3723.004005006),
        ("39h9m14.425s", 140_954.425),
        ("0.3333333333333333333h", 1200),
        ("9223372036854775807ns", 9_223_372_036.854775807),
    ],
)
def test_a_duration_has_the_seconds_that_go_reads(duration: str, seconds: float) -> None:
    assert seconds_of(duration) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "duration",
    # From the tests of Go's time.ParseDuration, and digits and signs that only Python would read.
    [
        "",
        "3",
        "+",
        "s",
        ".",
        ".s",
        "1d",
        "+.s",
        "3000000h",
        "9223372036854775808ns",
        "\u0663s",
        "1 s",
        "1_0s",
        "1S",
        "30s\n",
    ],
)
def test_what_go_does_not_read_is_refused(duration: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|is too long"):
        seconds_of(duration)


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="-5s is not a duration"):
        seconds_of("-5s")
