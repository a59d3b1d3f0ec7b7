"""thumbor's URLs: ``/{hash or unsafe}/trim/10x10:90x90/fit-in/-300x200/smart/filters:blur(3)/image.jpg``"""

import re
from urllib.parse import unquote

from image_processor.render.problems import bad_url
from image_processor.render.thumbor_url import Filter, ThumborUrl, Trim, side_of

_PATH = re.compile(
    r"/?(?:(?P<signature>.+?)/)?"
    r"(?P<rest>"
    r"(?:(?P<debug>debug)/)?"
    r"(?:(?P<meta>meta)/)?"
    r"(?:(?P<trim>trim(?::(?:top-left|bottom-right))?(?::\d+)?)/)?"
    r"(?:(?P<left>\d+)x(?P<top>\d+):(?P<right>\d+)x(?P<bottom>\d+)/)?"
    r"(?:(?P<fit_in>(?:adaptive-)?(?:full-)?fit-in)/)?"
    r"(?:(?P<flip_horizontal>-)?(?P<width>\d+|orig)?x(?P<flip_vertical>-)?(?P<height>\d+|orig)?/)?"
    r"(?:(?P<halign>left|right|center)/)?"
    r"(?:(?P<valign>top|bottom|middle)/)?"
    r"(?:(?P<smart>smart)/)?"
    r"(?:filters:(?P<filters>.+?\))/)?"
    r"(?P<image>.+)"
    r")",
    re.DOTALL,
)


def parse(target: bytes) -> ThumborUrl:
    """Return what the path and query, as they were sent, say.

    :raises DomainError: ``bad-render-url``.
    """
    path, mark, query = target.decode("utf-8", "surrogateescape").partition("?")
    found = _PATH.fullmatch(path)
    if found is None:
        raise bad_url("A URL of thumbor has a signature or `unsafe`, options, and an image.")
    corners = [found[name] for name in ("left", "top", "right", "bottom")]
    left, top, right, bottom = (int(corner or 0) for corner in corners)
    return ThumborUrl(
        signature=found["signature"] or "",
        signed=f"{found['rest']}{mark}{query}".encode("utf-8", "surrogateescape"),
        debug=bool(found["debug"]),
        meta=bool(found["meta"]),
        trim=_trim(found["trim"]),
        crop=None if corners[0] is None else (left, top, right, bottom),
        fit_in=found["fit_in"] or "",
        width=side_of(found["width"]),
        height=side_of(found["height"]),
        flip_horizontal=bool(found["flip_horizontal"]),
        flip_vertical=bool(found["flip_vertical"]),
        halign=found["halign"] or "",
        valign=found["valign"] or "",
        smart=bool(found["smart"]),
        filters=_filters(unquote(found["filters"] or "")),
        image=f"{unquote(found['image'])}{mark}{query}",
    )


def _trim(text: str | None) -> Trim | None:
    if text is None:
        return None
    # `trim:20` is a corner named 20, as in thumbor.
    _, *parts = text.split(":")
    return Trim(parts[0] if parts else "top-left", int(parts[1]) if len(parts) > 1 else 0)


def _filters(text: str) -> tuple[Filter, ...]:
    """Return the filters of a list like ``blur(3):quality(80)``."""
    if not text:
        return ()
    each = [part.removesuffix(")").partition("(") for part in text.split("):")]
    return tuple(Filter(name, args) for name, bracket, args in each if bracket)
