"""``posterize``: ``{"levels": 4}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.tone import with_tone


class PosterizeParams(Params):
    levels: int = Field(ge=2, le=128, description="The number of tones of each of red, green and blue.", examples=[4])


@algorithm(category="color", sequential=True)
def posterize(image: pyvips.Image, params: PosterizeParams) -> pyvips.Image:
    """Reduce the number of tones, so that areas have one color, as on a poster."""
    steps = params.levels - 1
    # Each tone covers an equal part of the range; the first is black and the last white.
    return with_tone(image, lambda value: (value * (params.levels * 0.9999999)).floor() / steps)
