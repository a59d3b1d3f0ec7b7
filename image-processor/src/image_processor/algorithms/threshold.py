"""``threshold``: ``{"level": 128}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_colors
from image_processor.imaging.luma import luma_of
from image_processor.imaging.tone import with_tone


class ThresholdParams(Params):
    level: float = Field(
        128, ge=0, le=255, description="The luma, 0 to 255, from which a pixel is white.", examples=[100]
    )


@algorithm(category="color", sequential=True)
def threshold(image: pyvips.Image, params: ThresholdParams) -> pyvips.Image:
    """Make every pixel black or white, by its luma."""
    return with_tone(on_colors(image, luma_of), lambda value: (value >= params.level / 255).ifthenelse(1, 0))
