"""``gamma``: ``{"gamma": 2.2}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.tone import with_tone


class GammaParams(Params):
    gamma: float = Field(
        ge=0.1, le=10, description="0.1 to 10: above 1 makes dark tones brighter, below 1 darker.", examples=[1.8]
    )


@algorithm(category="color", sequential=True)
def gamma(image: pyvips.Image, params: GammaParams) -> pyvips.Image:
    """Brighten or darken the middle tones; black and white are unchanged."""
    return with_tone(image, lambda value: value ** (1 / params.gamma))
