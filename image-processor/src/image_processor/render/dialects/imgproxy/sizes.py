"""Computes by imgproxy's rules how much an image is scaled, cropped and extended."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from image_processor.render.dialects.rounding import half_even, half_up

ResizingType = Literal["fit", "fill", "fill-down", "force", "auto"]


@dataclass(frozen=True)
class SizeOptions:
    """The size options of a URL; 0 means a side in proportion, or no limit."""

    resizing_type: ResizingType = "fit"
    width: int = 0
    height: int = 0
    min_width: int = 0
    min_height: int = 0
    zoom_x: float = 1.0
    zoom_y: float = 1.0
    dpr: float = 1.0
    enlarge: bool = False
    extend: bool = False
    extend_ratio: bool = False
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    max_side: int = 0


@dataclass(frozen=True)
class Sizes:
    """The resulting sizes for a source.

    :param dpr: the effective device pixel ratio, which is reduced if the source is too small for the requested one.
    :param target: the requested size in pixels; 0 for a side that was not requested.
    :param scaled: the size after scaling.
    :param cut: the size to crop to; 0 for a side that stays.
    :param ratio: the size after the extension to the aspect ratio; ``None`` if there is no extension.
    """

    scale_x: float
    scale_y: float
    dpr: float
    target: tuple[int, int] = (0, 0)
    scaled: tuple[int, int] = (0, 0)
    cut: tuple[int, int] = (0, 0)
    ratio: tuple[int, int] | None = None


def sizes_of(width: int, height: int, wanted: SizeOptions) -> Sizes:
    """Return the sizes for a source that is ``width`` × ``height`` after orientation, rotation and crop."""
    sizes = _with_sizes(_scales(width, height, wanted), width, height, wanted)
    return _limited(sizes, width, height, wanted)


def _scales(width: int, height: int, wanted: SizeOptions) -> Sizes:
    """Return the scale of each side and the device pixel ratio; the other sizes are not computed yet."""
    across, down = _shrinks(width, height, wanted)
    across, down, dpr = across / wanted.zoom_x, down / wanted.zoom_y, wanted.dpr
    if not wanted.enlarge:
        least = min(across, down)
        if least < 1:
            across, down = across / least, down / least
            # An image that is too small for the size is also too small for a multiple of it.
            dpr = dpr if wanted.extend else dpr / least
        dpr = min(dpr, across, down)
    if wanted.min_width and width / wanted.min_width < across:
        across, down = width / wanted.min_width, down / (across / (width / wanted.min_width))
    if wanted.min_height and height / wanted.min_height < down:
        across, down = across / (down / (height / wanted.min_height)), height / wanted.min_height
    # No side may vanish.
    return Sizes(1 / min(across / dpr, width), 1 / min(down / dpr, height), dpr)


def _shrinks(width: int, height: int, wanted: SizeOptions) -> tuple[float, float]:
    target_width, target_height = wanted.width or width, wanted.height or height
    across = 1.0 if target_width == width else width / target_width
    down = 1.0 if target_height == height else height / target_height
    kind = wanted.resizing_type
    if kind == "force" or across == down == 1:
        return across, down
    if not wanted.width:
        return down, down
    if not wanted.height:
        return across, across
    if kind == "auto":
        same = (width >= height) == (target_width >= target_height)
        kind = "fill" if same else "fit"
    choose: Callable[[float, float], float] = max if kind == "fit" else min
    return choose(across, down), choose(across, down)


def _with_sizes(sizes: Sizes, width: int, height: int, wanted: SizeOptions) -> Sizes:
    target = (
        half_up(wanted.width * sizes.dpr * wanted.zoom_x),
        half_up(wanted.height * sizes.dpr * wanted.zoom_y),
    )
    scaled = half_up(width * sizes.scale_x), half_up(height * sizes.scale_y)
    cut = _filled_down(target, scaled) if wanted.resizing_type == "fill-down" and not wanted.enlarge else target
    ratio = _to_ratio(target, _out(scaled, cut)) if wanted.extend_ratio and min(target) > 0 else None
    return replace(sizes, target=target, scaled=scaled, cut=cut, ratio=ratio)


def _filled_down(target: tuple[int, int], scaled: tuple[int, int]) -> tuple[int, int]:
    """Return the largest part with the target's aspect ratio if the image is smaller than the target."""
    across, down = target[0] / scaled[0], target[1] / scaled[1]
    if across > down and across > 1:
        return scaled[0], half_up(scaled[0] * target[1] / target[0])
    if down > across and down > 1:
        return half_up(scaled[1] * target[0] / target[1]), scaled[1]
    return target


def _to_ratio(target: tuple[int, int], out: tuple[int, int]) -> tuple[int, int] | None:
    across, down = target[0] / out[0], target[1] / out[1]
    if down > across:
        return out[0], half_up(out[0] * target[1] / target[0])
    if across > down:
        return half_up(out[1] * target[0] / target[1]), out[1]
    return None


def _out(scaled: tuple[int, int], cut: tuple[int, int]) -> tuple[int, int]:
    """Return the size after the crop."""
    return min(scaled[0], cut[0] or scaled[0]), min(scaled[1], cut[1] or scaled[1])


def _limited(sizes: Sizes, width: int, height: int, wanted: SizeOptions) -> Sizes:
    """Return the sizes, reduced if the longer side of the result would exceed the limit."""
    if wanted.max_side <= 0:
        return sizes
    out = _out(sizes.scaled, sizes.cut)
    larger = sizes.target if wanted.extend else sizes.ratio or (0, 0)
    top, right, bottom, left = (half_even(side * sizes.dpr) for side in wanted.padding)
    longer = max(max(out[0], larger[0]) + left + right, max(out[1], larger[1]) + top + bottom)
    if longer <= wanted.max_side:
        return sizes
    share = wanted.max_side / longer
    smaller = Sizes(max(sizes.scale_x * share, 1 / width), max(sizes.scale_y * share, 1 / height), sizes.dpr * share)
    return _with_sizes(smaller, width, height, wanted)
