"""``tint``: ``{"color": "#3a86ff"}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.color import Color
from image_processor.imaging.lightness import tinted
from image_processor.imaging.params import hint, or_british


class TintParams(Params):
    color: Color = Field(
        validation_alias=or_british("color"),
        description="The color whose hue and chroma the image gets.",
        examples=["#3a86ff"],
    )
    amount: float = Field(
        100.0,
        ge=0,
        le=100,
        description="In percent, 0 (unchanged) to 100 (no other hue remains).",
        json_schema_extra=hint(unit="%"),
    )


@algorithm(category="color", sequential=True)
def tint(image: pyvips.Image, params: TintParams) -> pyvips.Image:
    """Give the whole image one hue; the lightness (CIELAB) is unchanged."""
    return tinted(image, params.color, params.amount / 100)
