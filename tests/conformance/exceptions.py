"""Facts to which Pixmill does not conform, each with the reason."""

from tests.conformance.entries import Entry, Fact

_STALE = (
    "thumbor's fixture is older than its code: its test never compares the number, and thumbor 7.8.0 itself cuts at "
    "another place, as Pixmill does"
)


def reason(entry: Entry) -> str | None:
    """Return the reason why the entry need not hold; ``None`` if it must."""
    if not isinstance(entry, Fact) or entry.peer != "thumbor" or entry.kind != "geometry":
        return None
    return _STALE if _is_of_an_older_rule(entry) else None


def _is_of_an_older_rule(fact: Fact) -> bool:
    """Return whether the fact is the behavior of thumbor before version 6.7, for a cut height or an ``orig`` box.

    The old rule applied the focal point's fraction to the part that is cut off.
    """
    box = fact.expected.get("crop_before_resize")
    if not isinstance(box, list) or fact.source_size is None:
        return False
    left, top, right, bottom = (number if isinstance(number, int) else 0 for number in box)
    width, height = fact.source_size
    if "orig" in fact.url:
        return fact.url.split("/")[2] in ("origx100", "origxorig")
    part = bottom - top
    if (left, right) != (0, width) or part >= height:
        return False
    focus = height if "/bottom/" in fact.url else 0 if "/top/" in fact.url else height // 2
    older = int((height - part) * max(focus - part / 2, 0) / height)
    newer = round(min(max(focus - part / 2, 0), height - part))
    return top == older != newer
