"""``blurhash``: ``{"x": 4, "y": 3}``"""

import math

import numpy
from numpy.typing import NDArray
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.arrays import pixels_of
from image_processor.imaging.canvas import flattened
from image_processor.imaging.color import in_color
from image_processor.imaging.output import Report
from image_processor.imaging.params import hint
from image_processor.imaging.picture import Picture

SIDE = 64
"""The longer side in pixels of the image that is hashed. More make no difference, because there are few waves."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


class BlurhashParams(Params):
    x: int = Field(4, ge=1, le=9, description="The number of waves from left to right.", examples=[4])
    y: int = Field(3, ge=1, le=9, description="The number of waves from top to bottom.", examples=[3])


class BlurhashReport(Report):
    """A short text from which a placeholder of the image is drawn."""

    blurhash: str
    width: int = Field(description="The width of the image, in pixels.", json_schema_extra=hint(unit="px"))
    height: int


@algorithm(category="analysis", sequential=True)
def blurhash(picture: Picture, params: BlurhashParams) -> BlurhashReport:
    """Make a short text from which a page draws a placeholder until the image is loaded (BlurHash, by Wolt).

    https://github.com/woltapp/blurhash/blob/master/Algorithm.md
    """
    image = in_color(picture.at_least(SIDE, SIDE)[0])
    small = image.thumbnail_image(SIDE, height=SIDE, size="down", no_rotate=True)
    letters = encode(pixels_of(flattened(small, "#ffffff")), params.x, params.y)
    return BlurhashReport(blurhash=letters, width=picture.width, height=picture.height)


def encode(pixels: NDArray[numpy.uint8], across: int, down: int) -> str:
    """Return the hash of sRGB pixels, height × width × 3."""
    waves = _waves(_linear(pixels.astype("float64") / 255), across, down)
    constant, others = waves[0], waves[1:]
    digits = _base83((across - 1) + (down - 1) * 9, 1)
    greatest = max(0, min(82, math.floor(float(numpy.abs(others).max()) * 166 - 0.5))) if len(others) else 0
    digits += _base83(greatest, 1)
    red, green, blue = (_encoded(float(value)) for value in constant)
    digits += _base83((red << 16) + (green << 8) + blue, 4)
    scale = (greatest + 1) / 166
    for wave in others:
        red, green, blue = (_quantized(float(value) / scale) for value in wave)
        digits += _base83(red * 19 * 19 + green * 19 + blue, 2)
    return digits


def _waves(linear: NDArray[numpy.float64], across: int, down: int) -> NDArray[numpy.float64]:
    height, width = linear.shape[:2]
    x = numpy.cos(numpy.pi * numpy.outer(numpy.arange(across), numpy.arange(width)) / width)
    y = numpy.cos(numpy.pi * numpy.outer(numpy.arange(down), numpy.arange(height)) / height)
    sums: NDArray[numpy.float64] = numpy.einsum("jh,iw,hwc->jic", y, x, linear).reshape(across * down, 3) / (
        width * height
    )
    sums[1:] *= 2
    return sums


def _linear(values: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    linear: NDArray[numpy.float64] = numpy.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear


def _encoded(value: float) -> int:
    value = min(max(value, 0.0), 1.0)
    return int((value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055) * 255 + 0.5)


def _quantized(value: float) -> int:
    return max(0, min(18, math.floor(math.copysign(math.sqrt(abs(value)), value) * 9 + 9.5)))


def _base83(value: int, length: int) -> str:
    return "".join(_DIGITS[value // 83 ** (length - place) % 83] for place in range(1, length + 1))
