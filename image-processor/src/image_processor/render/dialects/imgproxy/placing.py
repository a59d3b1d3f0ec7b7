"""Computes the place of an object on a canvas, or of a part in an image, by imgproxy's gravity and offsets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from image_processor.render.dialects.rounding import half_even


@dataclass(frozen=True)
class Place:
    """A rectangle."""

    left: int
    top: int
    width: int
    height: int

    def turned_back(self, degrees: int, canvas_width: int, canvas_height: int) -> Self:
        """Return where the rectangle was before its canvas was turned clockwise by 0, 90, 180 or 270 to that size."""
        right = canvas_width - self.left - self.width
        bottom = canvas_height - self.top - self.height
        match degrees % 360:
            case 90:
                return type(self)(self.top, right, self.height, self.width)
            case 180:
                return type(self)(right, bottom, self.width, self.height)
            case 270:
                return type(self)(bottom, self.left, self.height, self.width)
        return self

    def mirrored(self, canvas_width: int, canvas_height: int, *, horizontally: bool, vertically: bool) -> Self:
        left = canvas_width - self.left - self.width if horizontally else self.left
        top = canvas_height - self.top - self.height if vertically else self.top
        return type(self)(left, top, self.width, self.height)

    def turned(self, degrees: int, canvas_width: int, canvas_height: int) -> Self:
        """Return where the rectangle is after its canvas of that size is turned clockwise by 0, 90, 180 or 270."""
        return self.turned_back(-degrees, canvas_width, canvas_height)

    def scaled(self, across: float, down: float) -> Self:
        sides = self.left * across, self.top * down, self.width * across, self.height * down
        return type(self)(*(round(side) for side in sides))

    def joined(self, other: Self) -> Self:
        """Return the smallest rectangle that contains both."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        right = max(self.left + self.width, other.left + other.width)
        bottom = max(self.top + self.height, other.top + other.height)
        return type(self)(left, top, right - left, bottom - top)


def around(areas: Sequence[Place], width: int, height: int, inner_width: int, inner_height: int) -> Place:
    """Return the place of the inner rectangle around the first area, and around each other one that fits as well."""
    kept, *others = areas
    for area in others:
        both = kept.joined(area)
        if both.width <= inner_width and both.height <= inner_height:
            kept = both
    left, top = kept.left + (kept.width - inner_width) // 2, kept.top + (kept.height - inner_height) // 2
    return Place(
        max(0, min(left, width - inner_width)), max(0, min(top, height - inner_height)), inner_width, inner_height
    )


def placed(
    width: int,
    height: int,
    inner_width: int,
    inner_height: int,
    gravity: str,
    offset: tuple[float, float],
    scale: float = 1.0,
    *,
    beyond: bool = False,
) -> Place:
    """Return the place of the inner rectangle within ``width`` × ``height``.

    :param gravity: ``no``, ``soea``, ``ce`` and so on; with ``fp``, ``offset`` is the center in shares of the sides.
    :param offset: pixels from the side of the gravity, or shares of the canvas if below 1.
    :param scale: the factor of offsets in pixels.
    :param beyond: whether the inner rectangle may leave the canvas, except for one pixel.
    """
    if gravity == "fp":
        left = half_even(width * offset[0]) - inner_width // 2
        top = half_even(height * offset[1]) - inner_height // 2
    else:
        across, down = (
            half_even(value * scale) if abs(value) >= 1 else half_even(side * value)
            for value, side in zip(offset, (width, height), strict=True)
        )
        left = _along(width - inner_width, across, gravity, "we", "ea")
        top = _along(height - inner_height, down, gravity, "no", "so")
    low_left, high_left = (1 - inner_width, width - 1) if beyond else (0, width - inner_width)
    low_top, high_top = (1 - inner_height, height - 1) if beyond else (0, height - inner_height)
    return Place(max(low_left, min(left, high_left)), max(low_top, min(top, high_top)), inner_width, inner_height)


def _along(room: int, offset: int, gravity: str, near: str, far: str) -> int:
    if near in gravity:
        return offset
    if far in gravity:
        return room - offset
    return half_even((room + 1) / 2) + offset
