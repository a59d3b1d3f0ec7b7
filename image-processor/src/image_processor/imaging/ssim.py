"""How alike two images are."""

import math

import pyvips

from image_processor.imaging.canvas import flattened
from image_processor.imaging.colour import in_colour, in_eight_bits
from image_processor.imaging.gaussian import gaussian
from image_processor.imaging.luma import luma_of

SIGMA = 1.5
_MARGIN = 5
"""Pixels along the edges that the window of SIGMA (11 × 11) does not cover whole; they do not count."""


def ssim(one: pyvips.Image, other: pyvips.Image) -> float:
    """The mean structural similarity of two grey 8-bit images of one size, -1 to 1; 1 where they are equal.

    (Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, with its Gaussian
    window of 1.5 pixels, K1 = 0.01 and K2 = 0.03.)
    """
    one, other = one.cast("float"), other.cast("float")

    mean_one, mean_other = gaussian(one, SIGMA), gaussian(other, SIGMA)
    variance_one = gaussian(one * one, SIGMA) - mean_one * mean_one
    variance_other = gaussian(other * other, SIGMA) - mean_other * mean_other
    covariance = gaussian(one * other, SIGMA) - mean_one * mean_other
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = ((mean_one * mean_other * 2 + c1) * (covariance * 2 + c2)) / (
        (mean_one * mean_one + mean_other * mean_other + c1) * (variance_one + variance_other + c2)
    )
    if min(one.width, one.height) > 4 * _MARGIN:
        likeness = likeness.crop(_MARGIN, _MARGIN, one.width - 2 * _MARGIN, one.height - 2 * _MARGIN)
    return float(likeness.avg())


def opaque(image: pyvips.Image) -> pyvips.Image:
    """Return the grey or sRGB image as it is compared: in 8 bits and three bands, transparent parts on white."""
    return flattened(in_eight_bits(in_colour(image)), "#ffffff")


def comparable(image: pyvips.Image) -> pyvips.Image:
    """Return the luma of the grey or sRGB image, as :func:`ssim` takes it."""
    return luma_of(opaque(image))


def psnr(one: pyvips.Image, other: pyvips.Image, white: float) -> float | None:
    """The peak signal-to-noise ratio in decibels; ``None`` where the images are equal.

    :param white: the greatest value that a band can have.
    """
    difference = one.cast("float") - other.cast("float")
    error = float((difference * difference).avg())
    return None if error == 0 else 10 * math.log10(white * white / error)
