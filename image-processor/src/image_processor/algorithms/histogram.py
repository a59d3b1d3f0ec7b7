"""``histogram``"""

from typing import Annotated

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import NoParams, algorithm
from image_processor.imaging.colour import colour_bands, is_grey
from image_processor.imaging.luma import luma_of
from image_processor.imaging.output import Report

Counts = Annotated[list[int], Field(min_length=256, max_length=256)]


class Channel(Report):
    """The tones of one channel, 0 to 255."""

    counts: Counts = Field(description="How many pixels have each of the 256 tones.")
    mean: float
    deviation: float = Field(description="The standard deviation.")
    minimum: int
    maximum: int


class HistogramReport(Report):
    """How often each tone is there."""

    red: Channel | None = None
    green: Channel | None = None
    blue: Channel | None = None
    luma: Channel


@algorithm
def histogram(image: pyvips.Image, params: NoParams) -> HistogramReport:  # noqa: ARG001 (an algorithm's shape)
    """Count the tones of red, green, blue and luma; transparency does not count."""
    colours = _eight_bits(colour_bands(image)).copy_memory()
    luma = _channel(luma_of(colours))
    if is_grey(colours):
        return HistogramReport(luma=luma)
    red, green, blue = (_channel(colours[band]) for band in range(3))
    return HistogramReport(red=red, green=green, blue=blue, luma=luma)


def _eight_bits(image: pyvips.Image) -> pyvips.Image:
    if image.format == "uchar":
        return image
    return (image / 257).rint().cast("uchar").copy(interpretation="b-w" if is_grey(image) else "srgb")


def _channel(band: pyvips.Image) -> Channel:
    counts = [round(value) for value in band.hist_find().tolist()[0]]
    return Channel(
        counts=counts,
        mean=round(band.avg(), 4),
        deviation=round(_deviation(counts, band.avg()), 4),
        minimum=next(tone for tone, count in enumerate(counts) if count),
        maximum=max(tone for tone, count in enumerate(counts) if count),
    )


def _deviation(counts: list[int], mean: float) -> float:
    squares = sum(count * (tone - mean) ** 2 for tone, count in enumerate(counts))
    return float((squares / sum(counts)) ** 0.5)
