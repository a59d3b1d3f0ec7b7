"""``perspective``: straightens a photographed page or screen, given its four corners."""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy
import pyvips
from pydantic import Field
from service_kit.texts import sentence

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm
from image_processor.imaging.alpha import on_premultiplied
from image_processor.imaging.canvas import inkable, weighted_ink
from image_processor.imaging.color import Color
from image_processor.imaging.params import MAX_SIDE, Side, hint
from image_processor.imaging.scaling import resampled

Corner = tuple[float, float]

_READ_PIXELS = 100_000_000
"""The most pixels that are read for a smaller result."""


class Point(Params):
    """A point, as fractions of the image's width and height; it may lie slightly outside the image."""

    x: float = Field(ge=-1, le=2, description="0 is the left edge, 1 the right edge.")
    y: float = Field(ge=-1, le=2, description="0 is the upper edge, 1 the lower edge.")


class PerspectiveParams(Params):
    corners: Annotated[list[Point], Field(min_length=4, max_length=4)] = Field(
        description="The corners of the quadrangle: upper left, upper right, lower right, lower left.",
        examples=[[{"x": 0.2, "y": 0.1}, {"x": 0.9, "y": 0.2}, {"x": 0.8, "y": 0.9}, {"x": 0.1, "y": 0.7}]],
        json_schema_extra=hint(widget="corners"),
    )
    width: Side | None = Field(
        None,
        description="The width of the result, in pixels; by default, the length of the longer horizontal edge.",
        json_schema_extra=hint(unit="px"),
    )
    height: Side | None = Field(
        None,
        description="The height of the result, in pixels; by default, the length of the longer vertical edge.",
        json_schema_extra=hint(unit="px"),
    )
    background: Color = Field("#ffffff00", description="The color of parts that lie outside the image.")


@algorithm(category="geometry")
def perspective(image: pyvips.Image, params: PerspectiveParams) -> pyvips.Image:
    """Straighten a quadrangle, such as a photographed page, into a rectangle."""
    corners = [(point.x * image.width - 0.5, point.y * image.height - 0.5) for point in params.corners]
    _check(corners)
    upper_left, upper_right, lower_right, lower_left = corners
    width = params.width or _longer((upper_left, upper_right), (lower_left, lower_right))
    height = params.height or _longer((upper_left, lower_left), (upper_right, lower_right))
    factor = _oversampling(corners, width, height)
    index = _index(_homography(width * factor, height * factor, corners), width * factor, height * factor)
    image = inkable(image, params.background)
    background = weighted_ink(image, params.background)

    def straightened(bands: pyvips.Image) -> pyvips.Image:
        flat = bands.mapim(
            index,
            interpolate=pyvips.Interpolate.new("bicubic"),
            extend="background",
            background=background,
            premultiplied=True,
        )
        return resampled(flat, width, height, "lanczos3") if factor > 1 else flat

    return on_premultiplied(image, straightened)


def _check(corners: Sequence[Corner]) -> None:
    """Refuse corners that are not a convex quadrangle.

    :raises UnsuitableImageError: edges cross, or a corner points inwards or lies between its neighbors.
    """
    turns = []
    for place in range(4):
        (x0, y0), (x1, y1), (x2, y2) = (corners[(place + step) % 4] for step in range(3))
        turns.append((x1 - x0) * (y2 - y1) - (y1 - y0) * (x2 - x1))
    if not (all(turn > 1e-6 for turn in turns) or all(turn < -1e-6 for turn in turns)):
        raise UnsuitableImageError(
            sentence(
                "The four corners do not form a quadrangle: give them in the order upper left, upper right, lower "
                "right, lower left."
            )
        )


def _longer(*edges: tuple[Corner, Corner]) -> int:
    """Return the length of the longest edge in pixels, at most the largest side of a result."""
    return min(MAX_SIDE, max(1, *(round(math.dist(start, end)) for start, end in edges)))


def _oversampling(corners: Sequence[Corner], width: int, height: int) -> int:
    """Return the factor by which to read more pixels than the result has, so that no pixel of the image is skipped."""
    upper_left, upper_right, lower_right, lower_left = corners
    across = max(math.dist(upper_left, upper_right), math.dist(lower_left, lower_right)) / width
    down = max(math.dist(upper_left, lower_left), math.dist(upper_right, lower_right)) / height
    most = max(1, math.isqrt(_READ_PIXELS // (width * height)))
    return min(most, max(1, math.ceil(max(across, down) - 0.25)))


def _homography(width: int, height: int, corners: Sequence[Corner]) -> list[float]:
    """Return the eight coefficients that map the corners of the result to ``corners``.

    (P. Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989, 2.2.3.)

    :raises UnsuitableImageError: three of the corners are nearly on a line.
    """
    # The middles of pixels have integer coordinates.
    right, bottom = width - 0.5, height - 0.5
    edges = [(-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom)]
    rows, values = [], []
    for (x, y), (u, v) in zip(edges, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    system = numpy.array(rows)
    if numpy.linalg.cond(system) > 1e12:
        raise UnsuitableImageError(sentence("The four corners do not form a quadrangle."))
    return [float(value) for value in numpy.linalg.solve(system, numpy.array(values))]


def _index(coefficients: list[float], width: int, height: int) -> pyvips.Image:
    """Return the position in the image of each pixel of the result."""
    a, b, c, d, e, f, g, h = coefficients
    xy = pyvips.Image.xyz(width, height).cast("double")
    x, y = xy[0], xy[1]
    depth = x * g + y * h + 1
    far = depth.abs() < 1e-9
    depth = far.ifthenelse(1e-9, depth)
    return ((x * a + y * b + c) / depth).bandjoin((x * d + y * e + f) / depth)
