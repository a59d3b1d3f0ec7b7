"""``posterize``: ``{"levels": 4}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.tone import with_tone


class PosterizeParams(Params):
    levels: int = Field(ge=2, le=128, description="Tones that each of red, green and blue keeps.", examples=[4])


@algorithm(sequential=True)
def posterize(image: pyvips.Image, params: PosterizeParams) -> pyvips.Image:
    """Keep few tones: surfaces of one color, as on a poster."""
    steps = params.levels - 1
    # Tones of equal width; the first is black and the last white.
    return with_tone(image, lambda value: (value * (params.levels * 0.9999999)).floor() / steps)
