"""``flip``: ``{"direction": "vertical"}``"""

from typing import Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm


class FlipParams(Params):
    direction: Literal["horizontal", "vertical"] = Field(
        "horizontal",
        description="`horizontal`: left becomes right; `vertical`: top becomes bottom.",
        examples=["vertical"],
    )


@algorithm(category="geometry", any_color_space=True, scale_free=True)
def flip(image: pyvips.Image, params: FlipParams) -> pyvips.Image:
    """Mirror the image left to right, or top to bottom."""
    return image.flip(params.direction)
