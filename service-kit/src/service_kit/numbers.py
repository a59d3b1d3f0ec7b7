"""Whole numbers in the headers, paths and queries of clients."""

import re

from service_kit.database import MAX_ID

_DIGITS = re.compile(r"[0-9]{1,19}")


def whole_number(text: str) -> int | None:
    """Return the number that a client has written, at most :data:`MAX_ID`; ``None`` if the text is anything else.

    ``int`` also takes signs, spaces, underscores and digits of other scripts, and fails on thousands of digits.
    """
    if not _DIGITS.fullmatch(text):
        return None
    number = int(text)
    return number if number <= MAX_ID else None
