"""Parses thumbor's URLs: ``/{hash or unsafe}/trim/10x10:90x90/fit-in/-300x200/smart/filters:blur(3)/image.jpg``.

imagor's grammar has the same parts, and its own parser.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from service_kit.texts import sentence

from image_processor.render.problems import bad_url

ORIGINAL = "orig"
"""Stands for the side of the source."""

_MOST_DIGITS = 18

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

Side = int | Literal["orig"]
"""Pixels, 0 for a side in proportion, or the side of the source."""


@dataclass(frozen=True)
class Filter:
    """A filter with its arguments as one text, which each filter splits itself."""

    name: str
    args: str


@dataclass(frozen=True)
class CornerTrim:
    """Cut away edges that have the color of a corner.

    :param corner: ``top-left``, ``bottom-right``, or another text that thumbor accepts as a corner.
    """

    corner: str = "top-left"
    tolerance: int = 0


@dataclass(frozen=True)
class ThumborUrl:
    """The parts of a URL, in the order of the grammar.

    :param signed: the signed path as sent.
    :param crop: left, top, right and bottom: pixels, or shares of the sides if below 1 (imagor).
    :param fit_in: ``fit-in`` with its prefixes, or empty.
    :param padding: left, top, right and bottom (imagor).
    """

    signature: str
    signed: bytes
    debug: bool = False
    meta: bool = False
    trim: CornerTrim | None = None
    crop: tuple[float, float, float, float] | None = None
    fit_in: str = ""
    stretch: bool = False
    width: Side = 0
    height: Side = 0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    padding: tuple[int, int, int, int] | None = None
    halign: str = ""
    valign: str = ""
    smart: bool = False
    filters: Sequence[Filter] = ()
    image: str = ""

    @property
    def has_geometry(self) -> bool:
        """Whether anything but filters changes the image."""
        return bool(
            self.trim is not None
            or any(self.crop or ())
            or self.fit_in
            or self.stretch
            or self.width
            or self.height
            or self.flip_horizontal
            or self.flip_vertical
            or self.smart
        )

    @property
    def adaptive(self) -> bool:
        return self.fit_in.startswith("adaptive-")

    @property
    def full(self) -> bool:
        return "full-" in self.fit_in


def parse(target: bytes) -> ThumborUrl:
    """Parse a path and query as sent, without decoding them.

    :raises DomainError: ``bad-render-url``.
    """
    path, mark, query = target.decode("utf-8", "surrogateescape").partition("?")
    found = _PATH.fullmatch(path)
    if found is None:
        raise bad_url(sentence("A URL of thumbor has a signature or `unsafe`, options, and an image."))
    corners = [found[name] for name in ("left", "top", "right", "bottom")]
    left, top, right, bottom = (digits(corner or "0") for corner in corners)
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


def side_of(text: str | None) -> Side:
    """Return the side; 0 if the URL leaves it out."""
    return "orig" if text == ORIGINAL else digits(text or "0")


def digits(text: str) -> int:
    """Return the number, truncated if it is too large for any picture: Python refuses to parse thousands of digits."""
    return int(text[:_MOST_DIGITS])


def _trim(text: str | None) -> CornerTrim | None:
    if text is None:
        return None
    # `trim:20` is a corner named 20, as in thumbor.
    _, *parts = text.split(":")
    return CornerTrim(parts[0] if parts else "top-left", digits(parts[1]) if len(parts) > 1 else 0)


def _filters(text: str) -> tuple[Filter, ...]:
    """Return the filters of a list like ``blur(3):quality(80)``."""
    if not text:
        return ()
    parts = [part.removesuffix(")").partition("(") for part in text.split("):")]
    return tuple(Filter(name, args) for name, bracket, args in parts if bracket)
