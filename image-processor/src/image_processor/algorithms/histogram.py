"""``histogram``"""

from typing import Annotated

import numpy
import pyvips
from numpy.typing import NDArray
from pydantic import Field
from service_kit.texts import sentence

from image_processor.algorithms.registry import NoParams, UnsuitableImageError, algorithm
from image_processor.imaging.color import alpha_band, color_bands, in_eight_bits, is_gray
from image_processor.imaging.luma import luma_of
from image_processor.imaging.output import Report

Counts = Annotated[list[int], Field(min_length=256, max_length=256)]


class Channel(Report):
    """The tones of one channel, 0 to 255."""

    counts: Counts = Field(description="The number of pixels of each of the 256 tones.")
    mean: float
    deviation: float = Field(description="The standard deviation.")
    minimum: int
    maximum: int


class HistogramReport(Report):
    """The number of pixels of each tone."""

    red: Channel | None = None
    green: Channel | None = None
    blue: Channel | None = None
    luma: Channel


@algorithm(category="analysis")
def histogram(image: pyvips.Image, params: NoParams) -> HistogramReport:  # noqa: ARG001 (an algorithm's signature)
    """Count the tones of red, green, blue and luma in 8 bits; invisible pixels are ignored."""
    image = in_eight_bits(image).copy_memory()
    colors, alpha = color_bands(image), alpha_band(image)
    visible = None if alpha is None else alpha > 0
    if visible is not None and visible.max() == 0:
        raise UnsuitableImageError(sentence("No pixel of the image is visible."))
    luma = _channel(_counts(luma_of(colors), visible)[0])
    if is_gray(colors):
        return HistogramReport(luma=luma)
    red, green, blue = (_channel(counts) for counts in _counts(colors, visible))
    return HistogramReport(red=red, green=green, blue=blue, luma=luma)


def _counts(image: pyvips.Image, visible: pyvips.Image | None) -> NDArray[numpy.int64]:
    """Return the number of visible pixels of each of the 256 tones, for each band."""
    if visible is None:
        found = numpy.asarray(image.hist_find().numpy(), dtype="int64").reshape(-1, image.bands)
        return numpy.pad(found, ((0, 256 - len(found)), (0, 0))).T
    seen = visible.numpy() > 0
    bands = [image[band].numpy()[seen] for band in range(image.bands)]
    return numpy.array([numpy.bincount(values, minlength=256) for values in bands], dtype="int64")


def _channel(counts: NDArray[numpy.int64]) -> Channel:
    tones = numpy.arange(256)
    mean = float((counts * tones).sum() / counts.sum())
    present = numpy.flatnonzero(counts)
    return Channel(
        counts=counts.tolist(),
        mean=round(mean, 4),
        deviation=round(float((counts * (tones - mean) ** 2).sum() / counts.sum()) ** 0.5, 4),
        minimum=int(present[0]),
        maximum=int(present[-1]),
    )
