"""``blur_areas``: ``{"areas": [{"left": 0.1, "top": 0.1, "width": 0.3, "height": 0.2}]}``"""

from typing import Annotated

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_premultiplied
from image_processor.imaging.gaussian import gaussian_to_see
from image_processor.imaging.params import Share, hint


class Area(Params):
    """A part of the image, as fractions of its sides."""

    left: Share = Field(description="0 is the left edge.")
    top: Share = Field(description="0 is the upper edge.")
    width: Share = Field(description="1 is the whole width.")
    height: Share = Field(description="1 is the whole height.")


class BlurAreasParams(Params):
    areas: Annotated[list[Area], Field(min_length=1, max_length=64)] = Field(
        description="The parts to blur.",
        examples=[[{"left": 0.3, "top": 0.25, "width": 0.4, "height": 0.4}]],
        json_schema_extra=hint(widget="rectangles"),
    )
    radius: float = Field(
        10.0,
        gt=0,
        le=100,
        description="The standard deviation of the Gaussian, in pixels.",
        examples=[8],
        json_schema_extra=hint(unit="px"),
    )


@algorithm(category="detail")
def blur_areas(image: pyvips.Image, params: BlurAreasParams) -> pyvips.Image:
    """Blur parts of an image, such as a license plate; pixels outside a part do not bleed into it."""
    image = image.copy_memory()
    for area in params.areas:
        left, top = round(area.left * image.width), round(area.top * image.height)
        width = min(round(area.width * image.width), image.width - left)
        height = min(round(area.height * image.height), image.height - top)
        if width > 0 and height > 0:
            part = image.crop(left, top, width, height)
            blurred = on_premultiplied(part, lambda bands: gaussian_to_see(bands, params.radius))
            image = image.insert(blurred, left, top)
    return image
