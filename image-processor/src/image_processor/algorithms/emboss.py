"""``emboss``: ``{"amount": 100}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_colours
from image_processor.imaging.colour import maximum
from image_processor.imaging.luma import luma_of


class EmbossParams(Params):
    amount: float = Field(100.0, ge=0, le=1000, description="Per cent: how deep it looks.", examples=[150])


@algorithm(sequential=True)
def emboss(image: pyvips.Image, params: EmbossParams) -> pyvips.Image:
    """Make the image a relief in grey, lit from the upper left."""
    slope = pyvips.Image.new_from_array([[-1, -1, 0], [-1, 0, 1], [0, 1, 1]])

    def relief(colours: pyvips.Image) -> pyvips.Image:
        grey = luma_of(colours)
        middle = (maximum(grey) + 1) / 2
        return (grey.conv(slope, precision="float") * (params.amount / 100) + middle).copy(
            interpretation=grey.interpretation
        )

    return on_colours(image, relief)
