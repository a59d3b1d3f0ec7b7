"""How alike two images are."""

import math

import numpy
import pyvips
from numpy.typing import NDArray

from image_processor.imaging.arrays import Pixels, pixels_of
from image_processor.imaging.canvas import flattened
from image_processor.imaging.colour import in_colour, in_eight_bits
from image_processor.imaging.luma import luma_of

SIGMA = 1.5
_MARGIN = 5
"""Pixels along the edges that the window of SIGMA (11 × 11) does not cover whole; they do not count."""
_STRIP = 256
"""Rows at a time."""

Values = NDArray[numpy.float32]


def ssim(one: pyvips.Image, other: pyvips.Image) -> float:
    """The mean structural similarity of two gray 8-bit images of one size, -1 to 1; 1 where they are equal.

    (Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, with its Gaussian
    window of 1.5 pixels, K1 = 0.01 and K2 = 0.03.)
    """
    first, second = pixels_of(one)[..., 0], pixels_of(other)[..., 0]
    height = len(first)
    margin = _MARGIN if min(one.width, one.height) > 4 * _MARGIN else 0
    total = 0.0
    # In strips, as a large image in floating point is many times as large.
    for start in range(margin, height - margin, _STRIP):
        stop = min(start + _STRIP, height - margin)
        top, bottom = max(0, start - _MARGIN), min(height, stop + _MARGIN)
        alike = _likeness(first[top:bottom], second[top:bottom])
        total += float(alike[start - top : stop - top, margin : one.width - margin].sum(dtype="float64"))
    return total / int((height - 2 * margin) * (one.width - 2 * margin))


def _likeness(first: Pixels, second: Pixels) -> Values:
    """Return how alike they are around each pixel."""
    import cv2  # a large library, which the API's processes never need

    def mean(values: Values) -> Values:
        side = 2 * _MARGIN + 1
        blurred = cv2.GaussianBlur(values, (side, side), SIGMA, borderType=cv2.BORDER_REPLICATE)
        return numpy.asarray(blurred, "float32")

    one, other = first.astype("float32"), second.astype("float32")
    mean_one, mean_other = mean(one), mean(other)
    squares, product = mean_one * mean_one + mean_other * mean_other, mean_one * mean_other
    variances = mean(one * one + other * other) - squares
    covariance = mean(one * other) - product
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (product * 2 + c1) * (covariance * 2 + c2) / ((squares + c1) * (variances + c2))
    return likeness.astype("float32")


def opaque(image: pyvips.Image) -> pyvips.Image:
    """Return the gray or sRGB image as it is compared: in 8 bits and three bands, transparent parts on white."""
    return flattened(in_eight_bits(in_colour(image)), "#ffffff")


def comparable(image: pyvips.Image) -> pyvips.Image:
    """Return the luma of the gray or sRGB image, as :func:`ssim` takes it."""
    return luma_of(opaque(image))


def psnr(one: pyvips.Image, other: pyvips.Image, white: float) -> float | None:
    """The peak signal-to-noise ratio in decibels; ``None`` where the images are equal.

    :param white: the greatest value that a band can have.
    """
    difference = one.cast("float") - other.cast("float")
    error = float((difference * difference).avg())
    return None if error == 0 else 10 * math.log10(white * white / error)
