"""Computes by thumbor's rules how an image is cropped and to which size it is resized."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from image_processor.render.dialects.thumbor.url import ORIGINAL, Side

_HALF_UP = 1e-5
"""thumbor adds this before it rounds, so that a half is rounded up and not to the even number."""
_SHARES = {"left": 0.0, "center": 0.5, "right": 1.0, "top": 0.0, "middle": 0.5, "bottom": 1.0}

Box = tuple[int, int, int, int]
"""Left, top, right and bottom."""


@dataclass(frozen=True)
class Focus:
    """A point of the source to keep, with its weight."""

    x: int
    y: int
    weight: float = 1.0

    @classmethod
    def of_area(cls, left: int, top: int, right: int, bottom: int) -> "Focus":
        width, height = right - left, bottom - top
        return cls(left + width // 2, top + height // 2, width * height)


@dataclass(frozen=True)
class CropAndSize:
    """The crop and the size for a source.

    :param cut: the part to keep before the resize; ``None`` for the whole source.
    :param size: the size to resize to; ``None`` for no resize.
    """

    cut: Box | None
    size: tuple[int, int] | None


def target_of(width: int, height: int, wanted: tuple[Side, Side]) -> tuple[float, float]:
    """Return the requested size; a side of 0 follows in proportion."""
    if not any(wanted):
        return width, height
    across = float(width if wanted[0] == ORIGINAL else wanted[0])
    down = float(height if wanted[1] == ORIGINAL else wanted[1])
    return across or _rounded(down * width / height), down or _rounded(across * height / width)


def _rounded(side: float) -> float:
    # Keep a side of half a pixel or less as it is: the image is not cropped then.
    return float(round(side)) or side


def filled(
    width: int,
    height: int,
    wanted: tuple[Side, Side],
    align: tuple[str, str] = ("", ""),
    points: Sequence[Focus] = (),
    *,
    stretch: bool = False,
) -> CropAndSize:
    """Return the sizes without ``fit-in``: crop to the aspect ratio, then resize."""
    target = target_of(width, height, wanted)
    size = max(1, int(target[0])), max(1, int(target[1]))
    cut = None if stretch else _cut(width, height, target, align, points)
    resized = None if cut is None and target == (width, height) else size
    return CropAndSize(cut, resized)


def _cut(
    width: int, height: int, target: tuple[float, float], align: tuple[str, str], points: Sequence[Focus]
) -> Box | None:
    across, down = target[0] or 1, target[1] or 1
    if round(width / height, 2) == round(across / down, 2):
        return None
    if target[0] / width > target[1] / height:
        part = width, max(1, round(width * target[1] / across))
    else:
        part = max(1, math.ceil(target[0] * height / down)), height
    middle = _middle(width, height, align, points)
    left, top = (
        round(min(max(at - own / 2, 0.0), side - own))
        for at, own, side in zip(middle, part, (width, height), strict=True)
    )
    return left, top, min(left + part[0], width), min(top + part[1], height)


def _middle(width: int, height: int, align: tuple[str, str], points: Sequence[Focus]) -> tuple[float, float]:
    if not points:
        return int(width * _SHARES[align[0] or "center"]), int(height * _SHARES[align[1] or "middle"])
    weight = sum(point.weight for point in points)
    if weight == 0:
        # An area whose corners are the wrong way round has a negative weight.
        return width // 2, height // 2
    return (
        sum(point.x * point.weight for point in points) // weight,
        sum(point.y * point.weight for point in points) // weight,
    )


def fitted(
    width: int, height: int, wanted: tuple[Side, Side], *, adaptive: bool = False, full: bool = False
) -> CropAndSize:
    """Return the sizes with ``fit-in``: resize to fit into the box, or with ``full`` to cover it."""
    across, down = target_of(width, height, wanted)
    if adaptive and ((width < height and across > down) or (width > height and across < down)):
        across, down = down, across
    if not full and across >= width and down >= height:
        return CropAndSize(None, None)
    by_width = width / across <= height / down if full else width / across >= height / down
    size: tuple[float, float] = (across, round(height * across / width + _HALF_UP))
    if not by_width:
        size = (round(width * down / height + _HALF_UP), down)
    return CropAndSize(None, (max(1, int(size[0])), max(1, int(size[1]))))


def cropped(width: int, height: int, crop: Sequence[float]) -> Box | None:
    """Return the crop of the URL, limited to the source; ``None`` if nothing would be left."""
    left, right = (int(min(max(edge, 0), width)) for edge in (crop[0], crop[2]))
    top, bottom = (int(min(max(edge, 0), height)) for edge in (crop[1], crop[3]))
    return (left, top, right, bottom) if left < right and top < bottom else None
