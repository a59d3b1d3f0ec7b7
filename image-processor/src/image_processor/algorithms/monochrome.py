"""``monochrome``: ``{"color": "#b3b3b3"}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_colors
from image_processor.imaging.color import Color, in_color, rgba
from image_processor.imaging.luma import exact_luma_of
from image_processor.imaging.params import hint, or_british


class MonochromeParams(Params):
    color: Color = Field(
        "#b3b3b3",
        validation_alias=or_british("color"),
        description="The color of which light and dark shades are made.",
        examples=["#8ecae6"],
    )
    amount: float = Field(
        100.0,
        ge=0,
        le=100,
        description="In percent, 0 (unchanged) to 100 (only shades of the color).",
        json_schema_extra=hint(unit="%"),
    )


@algorithm(category="color", sequential=True, scale_free=True)
def monochrome(image: pyvips.Image, params: MonochromeParams) -> pyvips.Image:
    """Replace the colors with shades of one color: each pixel is its luma times the color."""
    share = params.amount / 100

    def shaded(colors: pyvips.Image) -> pyvips.Image:
        shades = exact_luma_of(colors) * [value / 255 for value in rgba(params.color)[:3]]
        return colors * (1 - share) + shades * share

    return on_colors(in_color(image), shaded)
