"""The parsed form of thumbor's and imagor's URLs, whose grammars have the same parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ORIGINAL = "orig"
"""Stands for the side of the source."""

_MOST_DIGITS = 18

Side = int | Literal["orig"]
"""Pixels, 0 for a side in proportion, or the side of the source."""


@dataclass(frozen=True)
class Filter:
    """A filter with its arguments as one text, which each filter splits itself."""

    name: str
    args: str


@dataclass(frozen=True)
class Trim:
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
    trim: Trim | None = None
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


def side_of(text: str | None) -> Side:
    """Return the side; 0 if the URL leaves it out."""
    return "orig" if text == ORIGINAL else digits(text or "0")


def digits(text: str) -> int:
    """Return the number, truncated if it is too large for any picture: Python refuses to parse thousands of digits."""
    return int(text[:_MOST_DIGITS])
