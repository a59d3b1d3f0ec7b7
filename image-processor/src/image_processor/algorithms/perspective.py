"""``perspective``: makes a photographed page or screen rectangular, from its four corners."""

from typing import Annotated

import numpy
import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm
from image_processor.imaging.alpha import on_premultiplied
from image_processor.imaging.canvas import inkable, weighed_ink
from image_processor.imaging.colour import Colour
from image_processor.imaging.params import Side


class Point(Params):
    """A point, as shares of the image's width and height; it may lie a little outside."""

    x: float = Field(ge=-1, le=2, description="0 is the left edge, 1 the right one.")
    y: float = Field(ge=-1, le=2, description="0 is the upper edge, 1 the lower one.")


class PerspectiveParams(Params):
    corners: Annotated[list[Point], Field(min_length=4, max_length=4)] = Field(
        description="Of what becomes a rectangle: upper left, upper right, lower right, lower left.",
        examples=[[{"x": 0.2, "y": 0.1}, {"x": 0.9, "y": 0.2}, {"x": 0.8, "y": 0.9}, {"x": 0.1, "y": 0.7}]],
    )
    width: Side | None = Field(None, description="Pixels of the result; without it, as wide as the image.")
    height: Side | None = Field(None, description="Pixels of the result; without it, as high as the image.")
    background: Colour = Field("#ffffff00", description="Of what lies outside of the image.")


@algorithm
def perspective(image: pyvips.Image, params: PerspectiveParams) -> pyvips.Image:
    """Straighten a quadrangle, such as a photographed page, into a rectangle."""
    width, height = params.width or image.width, params.height or image.height
    corners = [(point.x * image.width - 0.5, point.y * image.height - 0.5) for point in params.corners]
    index = _index(_homography(width, height, corners), width, height)
    image = inkable(image, params.background)
    background = weighed_ink(image, params.background)
    return on_premultiplied(
        image,
        lambda bands: bands.mapim(
            index, interpolate=pyvips.Interpolate.new("bicubic"), extend="background", background=background
        ),
    )


def _homography(width: int, height: int, corners: list[tuple[float, float]]) -> list[float]:
    """The eight coefficients that take the result's corners to ``corners``.

    (P. Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989, 2.2.3.)

    :raises UnsuitableImageError: three of the corners lie on a line.
    """
    # Pixels' middles have whole numbers.
    right, bottom = width - 0.5, height - 0.5
    edges = [(-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom)]
    rows, values = [], []
    for (x, y), (u, v) in zip(edges, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    system = numpy.array(rows)
    if numpy.linalg.cond(system) > 1e12:
        raise UnsuitableImageError("The four corners are no quadrangle.")
    return [float(value) for value in numpy.linalg.solve(system, numpy.array(values))]


def _index(coefficients: list[float], width: int, height: int) -> pyvips.Image:
    """For each pixel of the result, where it lies in the image."""
    a, b, c, d, e, f, g, h = coefficients
    xy = pyvips.Image.xyz(width, height).cast("double")
    x, y = xy[0], xy[1]
    depth = x * g + y * h + 1
    far = depth.abs() < 1e-9
    depth = far.ifthenelse(1e-9, depth)
    return ((x * a + y * b + c) / depth).bandjoin((x * d + y * e + f) / depth)
