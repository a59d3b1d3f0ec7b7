"""``duotone``: ``{"shadows": "#1d3557", "highlights": "#f1faee"}``"""

from collections.abc import Sequence

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_colors
from image_processor.imaging.color import Color, in_color, rgba
from image_processor.imaging.luma import luma_of
from image_processor.imaging.tone import Curve, with_tones


class DuotoneParams(Params):
    shadows: Color = Field("#192550", description="The color that black becomes.", examples=["#1d3557"])
    highlights: Color = Field("#f05e40", description="The color that white becomes.", examples=["#ffb703"])


@algorithm(category="color", sequential=True, scale_free=True)
def duotone(image: pyvips.Image, params: DuotoneParams) -> pyvips.Image:
    """Map the luma to a range from one color to another."""
    return with_tones(in_color(on_colors(image, luma_of)), _ramps(rgba(params.shadows), rgba(params.highlights)))


def _ramps(low: Sequence[float], high: Sequence[float]) -> list[Curve]:
    def ramp(start: float, end: float) -> Curve:
        return lambda value: value * ((end - start) / 255) + start / 255

    return [ramp(start, end) for start, end in zip(low[:3], high[:3], strict=True)]
