"""``noise``: ``{"amount": 20}``"""

import numpy
import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_colors
from image_processor.imaging.color import maximum
from image_processor.imaging.params import hint

_SAMPLES = 8_000_000
"""The most random values that are held in memory; further rows repeat them, shifted sideways."""


class NoiseParams(Params):
    amount: float = Field(
        10.0,
        ge=0,
        le=100,
        description="The standard deviation, in percent of white.",
        examples=[15],
        json_schema_extra=hint(unit="%"),
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="The same seed gives the same noise.", json_schema_extra=hint(advanced=True)
    )
    monochrome: bool = Field(default=False, description="Gray noise, like the grain of film, instead of colored noise.")


@algorithm(category="detail", sequential=True)
def noise(image: pyvips.Image, params: NoiseParams) -> pyvips.Image:
    """Add Gaussian noise."""

    def noisy(colors: pyvips.Image) -> pyvips.Image:
        bands = 1 if params.monochrome else colors.bands
        return colors + _grain(colors, bands, params.amount / 100 * maximum(colors), params.seed)

    return on_colors(image, noisy)


def _grain(image: pyvips.Image, bands: int, sigma: float, seed: int) -> pyvips.Image:
    """Return noise of the size of the image; NumPy is ten times as fast as libvips."""
    random = numpy.random.default_rng(seed)
    rows = min(image.height, max(1, _SAMPLES // (image.width * bands)))
    # An image of 8 bits needs no fractions.
    kind = "int16" if image.format == "uchar" else "float32"
    values = numpy.empty((rows, image.width, bands), kind)
    for row in values:
        made = random.standard_normal(row.shape, "float32") * numpy.float32(sigma)
        row[...] = made if kind == "float32" else numpy.rint(made)
    grain = pyvips.Image.new_from_array(values)
    strips = [grain]
    while len(strips) * rows < image.height:
        strips.append(grain.wrap(x=int(random.integers(image.width)), y=0))
    return pyvips.Image.arrayjoin(strips, across=1).crop(0, 0, image.width, image.height)
