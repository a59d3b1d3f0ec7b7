"""``blur``: ``{"radius": 5}``"""

import math
from typing import Literal

import numpy
import pyvips
from numpy.typing import NDArray
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_premultiplied
from image_processor.imaging.arrays import DeepPixels, deep_pixels_of, with_pixels
from image_processor.imaging.gaussian import gaussian_to_see
from image_processor.imaging.params import hint


class BlurParams(Params):
    method: Literal["gaussian", "box", "motion"] = Field(
        "gaussian", description="The shape of the blur: `gaussian` is soft, `box` is a square, `motion` is a line."
    )
    radius: float = Field(
        2.0,
        gt=0,
        le=100,
        description="In pixels: the standard deviation of the Gaussian, half the side of the box, or half the length "
        "of the motion.",
        examples=[4],
        json_schema_extra=hint(unit="px"),
    )
    angle: float = Field(
        0.0,
        ge=-360,
        le=360,
        description="The direction of the motion, in degrees clockwise from the horizontal.",
        json_schema_extra=hint(unit="°"),
    )


@algorithm(category="detail", sequential=True)
def blur(image: pyvips.Image, params: BlurParams) -> pyvips.Image:
    """Blur the image."""

    def blurred(bands: pyvips.Image) -> pyvips.Image:
        if params.method == "gaussian":
            return gaussian_to_see(bands, params.radius)
        if params.method == "box":
            return _box(bands, params.radius)
        bands = bands.copy_memory()
        return with_pixels(bands, _smeared(deep_pixels_of(bands), _line(params.radius, params.angle)))

    return on_premultiplied(image, blurred)


def _box(bands: pyvips.Image, radius: float) -> pyvips.Image:
    side = 2 * math.ceil(radius) + 1
    # A box needs one layer only, of which libvips keeps a running sum.
    return bands.convasep(pyvips.Image.new_from_array([[1.0] * side], side), layers=1)


def _smeared(pixels: DeepPixels, weights: NDArray[numpy.float64]) -> DeepPixels:
    import cv2  # large, and never needed by the API

    smeared = numpy.empty_like(pixels)
    smeared[...] = cv2.filter2D(pixels, -1, weights, borderType=cv2.BORDER_REPLICATE).reshape(pixels.shape)
    return smeared


def _line(radius: float, angle: float) -> NDArray[numpy.float64]:
    """Return the weights of a smooth line through the middle, two radii long, without empty rows and columns."""
    reach = math.ceil(radius)
    across, down = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    y, x = numpy.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = numpy.abs(y * across - x * down)
    along = numpy.abs(x * across + y * down)
    weights = numpy.maximum(0, 1 - distance) * numpy.clip(radius + 0.5 - along, 0, 1)
    weights = weights[(weights > 0).any(axis=1)][:, (weights > 0).any(axis=0)]
    normal: NDArray[numpy.float64] = weights / weights.sum()
    return normal
