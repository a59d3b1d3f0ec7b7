"""``border``: ``{"width": 10, "colour": "#000"}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.canvas import embedded
from image_processor.imaging.colour import Colour


class BorderParams(Params):
    width: int = Field(10, ge=1, le=1000, description="Pixels on each side.", examples=[12])
    colour: Colour = Field("#000000", description="Of the border.", examples=["#e63946"])


@algorithm(sequential=True)
def border(image: pyvips.Image, params: BorderParams) -> pyvips.Image:
    """Put a frame of one colour around the image, which becomes larger."""
    across, down = image.width + 2 * params.width, image.height + 2 * params.width
    return embedded(image, params.width, params.width, across, down, params.colour)
