"""Parses durations and sizes such as ``15m`` and ``2GiB``."""

import re
from datetime import UTC, datetime, timedelta

from pixmill.commands import words

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def duration(text: str) -> timedelta:
    """Parse a duration such as ``90s``, ``15m``, ``2h``, ``7d`` or ``1w``.

    :raises ValueError: the text is not a duration.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip().lower())
    if found is None:
        raise _no_time(text)
    try:
        return timedelta(seconds=float(found[1]) * _SECONDS[found[2]])
    except OverflowError as error:
        raise _no_time(text) from error


def ago(text: str) -> datetime:
    """Return the time that is this duration before now.

    :raises ValueError: the text is not a duration, or the time is before the year 1.
    """
    try:
        return datetime.now(UTC) - duration(text)
    except OverflowError as error:
        raise _no_time(text) from error


def size(text: str) -> int:
    """Parse a size such as ``500``, ``20kB``, ``1MB`` or ``2GiB`` into bytes.

    :raises ValueError: the text is not a size.
    """
    found = re.fullmatch(r"(\d{1,18}(?:\.\d+)?)\s*([kmg]?i?)b?", text.strip().lower())
    if found is None or found[2] not in _BYTES:
        raise ValueError(words.text("'{given}' is not a size: write 500, 20kB, 1MB or 2GiB", given=text))
    return int(float(found[1]) * _BYTES[found[2]])


def _no_time(text: str) -> ValueError:
    return ValueError(words.text("'{given}' is not a time: write 90s, 15m, 2h, 7d or 1w", given=text))
