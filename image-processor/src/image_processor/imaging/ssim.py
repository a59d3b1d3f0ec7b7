"""Measures how similar two images are."""

import math

import numpy
import pyvips
from numpy.typing import NDArray

from image_processor.imaging.arrays import Pixels, pixels_of
from image_processor.imaging.canvas import flattened
from image_processor.imaging.color import in_color, in_eight_bits
from image_processor.imaging.luma import luma_of

SIGMA = 1.5
_MARGIN = 5
"""Pixels along the edges that do not count, because the window of SIGMA (11 × 11) reaches beyond the image."""
_STRIP = 256
"""Rows that are compared at a time."""

Values = NDArray[numpy.float32]


def ssim(image: pyvips.Image, other: pyvips.Image) -> float:
    """Return the mean structural similarity of two gray 8-bit images of the same size: -1 to 1, 1 if they are equal.

    (Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, with its Gaussian
    window of 1.5 pixels, K1 = 0.01 and K2 = 0.03.)
    """
    first, second = pixels_of(image)[..., 0], pixels_of(other)[..., 0]
    height = len(first)
    margin = _MARGIN if min(image.width, image.height) > 4 * _MARGIN else 0
    total = 0.0
    # In strips, because a whole image in floating point takes many times its memory.
    for start in range(margin, height - margin, _STRIP):
        stop = min(start + _STRIP, height - margin)
        top, bottom = max(0, start - _MARGIN), min(height, stop + _MARGIN)
        similarity = _similarity(first[top:bottom], second[top:bottom])
        total += float(similarity[start - top : stop - top, margin : image.width - margin].sum(dtype="float64"))
    return total / int((height - 2 * margin) * (image.width - 2 * margin))


def _similarity(first: Pixels, second: Pixels) -> Values:
    """Return the similarity around each pixel."""
    import cv2  # large, and never needed by the API

    def mean(values: Values) -> Values:
        side = 2 * _MARGIN + 1
        blurred = cv2.GaussianBlur(values, (side, side), SIGMA, borderType=cv2.BORDER_REPLICATE)
        return numpy.asarray(blurred, "float32")

    x, y = first.astype("float32"), second.astype("float32")
    mean_x, mean_y = mean(x), mean(y)
    squares, product = mean_x * mean_x + mean_y * mean_y, mean_x * mean_y
    variances = mean(x * x + y * y) - squares
    covariance = mean(x * y) - product
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (product * 2 + c1) * (covariance * 2 + c2) / ((squares + c1) * (variances + c2))
    return similarity.astype("float32")


def opaque(image: pyvips.Image) -> pyvips.Image:
    """Return the gray or sRGB image in 8 bits and three bands, transparent parts on white, for a comparison."""
    return flattened(in_eight_bits(in_color(image)), "#ffffff")


def comparable(image: pyvips.Image) -> pyvips.Image:
    """Return the luma of the gray or sRGB image, for :func:`ssim`."""
    return luma_of(opaque(image))


def psnr(image: pyvips.Image, other: pyvips.Image, white: float) -> float | None:
    """Return the peak signal-to-noise ratio in decibels; ``None`` if the images are equal.

    :param white: the greatest value of a band.
    """
    difference = image.cast("float") - other.cast("float")
    error = float((difference * difference).avg())
    return None if error == 0 else 10 * math.log10(white * white / error)
