"""``border``: ``{"width": 10, "color": "#000"}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.canvas import embedded
from image_processor.imaging.color import Color
from image_processor.imaging.params import hint, or_british


class BorderParams(Params):
    width: int = Field(
        10,
        ge=1,
        le=1000,
        description="The width of the border on each side, in pixels.",
        examples=[12],
        json_schema_extra=hint(unit="px"),
    )
    color: Color = Field(
        "#000000", validation_alias=or_british("color"), description="The color of the border.", examples=["#e63946"]
    )


@algorithm(category="geometry", sequential=True)
def border(image: pyvips.Image, params: BorderParams) -> pyvips.Image:
    """Add a frame of one color around the image; the image becomes larger."""
    across, down = image.width + 2 * params.width, image.height + 2 * params.width
    return embedded(image, params.width, params.width, across, down, params.color)
