"""Reads the size of an SVG in pixels from its root element only (SVG 2, 8.2; CSS Images 3, 5.3)."""

import re
from collections.abc import Mapping
from xml.parsers import expat

Size = tuple[int, int]

_LENGTH = re.compile(
    r"\s*\+?(\d+(?:\.\d*)?(?:e[+-]?\d{1,3})?|\.\d+)\s*(px|pt|pc|in|cm|mm|q|em|rem|ex)?\s*", re.IGNORECASE
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?", re.IGNORECASE)
_PIXELS = {
    **{"": 1.0, "px": 1.0, "pt": 96 / 72, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "q": 96 / 101.6},
    **{"em": 16.0, "rem": 16.0, "ex": 8.0},
}
_WITHOUT_SIZE = (300.0, 150.0)
"""The default size of a replaced element in pixels (CSS 2.2, 10.3.2)."""


class _FoundError(Exception):
    """Stops the parser once it has read the root element."""


def root_size(head: bytes) -> Size | None:
    """Return the size of the SVG that begins with ``head``; ``None`` if the root element is not in these bytes."""
    attributes: dict[str, str] = {}

    def on_start(_: str, found: dict[str, str]) -> None:
        attributes.update(found)
        raise _FoundError

    parser = expat.ParserCreate()
    parser.StartElementHandler = on_start
    try:
        parser.Parse(head, False)  # noqa: FBT003 (not the last bytes)
    except _FoundError:
        return svg_size(attributes)
    except (expat.ExpatError, LookupError, ValueError):
        return None
    return None


def svg_size(attributes: Mapping[str, str]) -> Size | None:
    """Return the width and height of an SVG whose root has these attributes; ``None`` if they are unusable.

    Ignore percentages: they refer to a page that is unknown here.
    """
    width, height = _pixels(attributes.get("width")), _pixels(attributes.get("height"))
    box = view_box(attributes)
    across, down = (box[2], box[3]) if box else _WITHOUT_SIZE
    if width is None and height is None:
        width, height = across, down
    elif width is None:
        width = (height or 0) * across / down
    elif height is None:
        height = width * down / across
    if not (0 < width < 1e9 and 0 < (height or 0) < 1e9):
        return None
    return max(1, int(width + 0.5)), max(1, int((height or 0) + 0.5))


def view_box(attributes: Mapping[str, str]) -> tuple[float, float, float, float] | None:
    """Return the root's ``viewBox``; ``None`` if it is missing or empty."""
    numbers = [float(number) for number in _NUMBER.findall(attributes.get("viewBox", ""))]
    if len(numbers) != 4 or not (0 < numbers[2] < 1e9 and 0 < numbers[3] < 1e9):
        return None
    left, top, width, height = numbers
    return left, top, width, height


def _pixels(length: str | None) -> float | None:
    found = _LENGTH.fullmatch(length or "")
    return float(found[1]) * _PIXELS[(found[2] or "").lower()] if found else None
