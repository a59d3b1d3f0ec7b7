"""``blur``: ``{"radius": 5}``"""

import math
from typing import Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_premultiplied
from image_processor.imaging.gaussian import gaussian_to_see


class BlurParams(Params):
    method: Literal["gaussian", "box", "motion"] = Field("gaussian", description="Soft, square, or along a line.")
    radius: float = Field(
        2.0,
        gt=0,
        le=100,
        description="Pixels: the Gaussian's standard deviation, half of the box's side or of the motion's length.",
        examples=[4],
    )
    angle: float = Field(0.0, ge=-360, le=360, description="Of the motion: degrees from the horizontal, clockwise.")


@algorithm(sequential=True)
def blur(image: pyvips.Image, params: BlurParams) -> pyvips.Image:
    """Blur the image."""

    def blurred(bands: pyvips.Image) -> pyvips.Image:
        if params.method == "gaussian":
            return gaussian_to_see(bands, params.radius)
        if params.method == "box":
            return bands.convsep(_box(params.radius), precision="float")
        return bands.conv(_line(params.radius, params.angle), precision="float")

    return on_premultiplied(image, blurred)


def _box(radius: float) -> pyvips.Image:
    side = 2 * math.ceil(radius) + 1
    return pyvips.Image.new_from_array([[1.0] * side], side)


def _line(radius: float, angle: float) -> pyvips.Image:
    """A smooth line of two radii through the middle of the kernel."""
    reach = math.ceil(radius)
    across, down = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    weights = [
        [_weight(x * across + y * down, y * across - x * down, radius) for x in range(-reach, reach + 1)]
        for y in range(-reach, reach + 1)
    ]
    return pyvips.Image.new_from_array(weights, sum(map(sum, weights)))


def _weight(along: float, beside: float, radius: float) -> float:
    return max(0.0, 1 - abs(beside)) * min(1.0, max(0.0, radius + 0.5 - abs(along)))
