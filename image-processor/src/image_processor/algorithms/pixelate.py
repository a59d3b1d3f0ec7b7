"""``pixelate``: ``{"size": 12}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.blocks import in_blocks
from image_processor.imaging.params import hint


class PixelateParams(Params):
    size: int = Field(
        10,
        ge=2,
        le=1000,
        description="The side of a block, in pixels.",
        examples=[16],
        json_schema_extra=hint(unit="px"),
    )


@algorithm(category="detail", sequential=True)
def pixelate(image: pyvips.Image, params: PixelateParams) -> pyvips.Image:
    """Divide the image into square blocks, each filled with its mean color."""
    return in_blocks(image, params.size)
