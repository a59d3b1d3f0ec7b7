"""``phash``"""

import math

import numpy
from pydantic import Field

from image_processor.algorithms.registry import NoParams, algorithm
from image_processor.imaging.arrays import pixels_of
from image_processor.imaging.canvas import flattened
from image_processor.imaging.luma import luma_of
from image_processor.imaging.output import Report
from image_processor.imaging.picture import Picture
from image_processor.imaging.scaling import scaled

SIDE, BITS = 32, 8


class PhashReport(Report):
    """A perceptual hash."""

    phash: str = Field(description="64 bits in hexadecimal; similar images differ in at most about 10 of them.")


@algorithm(category="analysis", sequential=True)
def phash(picture: Picture, params: NoParams) -> PhashReport:  # noqa: ARG001 (an algorithm's signature)
    """Make a hash that hardly changes when an image is resized or encoded again, to find duplicates.

    (The DCT hash of C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010: the 8 × 8
    lowest frequencies of the luma at 32 × 32 pixels, each above or below their median.)
    """
    gray = luma_of(flattened(picture.at_least(SIDE, SIDE)[0], "#ffffff"))
    small = scaled(gray, SIDE, SIDE)
    waves = numpy.array([[math.cos(math.pi * k * (2 * n + 1) / (2 * SIDE)) for n in range(SIDE)] for k in range(BITS)])
    low = waves @ pixels_of(small)[..., 0].astype("float64") @ waves.T
    bits = (low > numpy.median(low)).flatten()
    number = int("".join("1" if bit else "0" for bit in bits), 2)
    return PhashReport(phash=f"{number:0{BITS * BITS // 4}x}")
