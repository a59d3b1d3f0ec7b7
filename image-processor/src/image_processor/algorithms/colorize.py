"""``colorize``: ``{"color": "#ffb703", "amount": 40}``"""

from typing import Annotated

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_colors
from image_processor.imaging.color import Color, in_color, maximum, rgba
from image_processor.imaging.params import hint, or_british

Amount = Annotated[float, Field(ge=0, le=100)]


class ColorizeParams(Params):
    color: Color = Field(
        "#000000", validation_alias=or_british("color"), description="The color to mix in.", examples=["#ffb703"]
    )
    amount: Amount = Field(
        50.0,
        description="The share of the color, in percent, 0 (unchanged) to 100.",
        examples=[40],
        json_schema_extra=hint(unit="%"),
    )
    red: Amount | None = Field(
        None, description="The share for red, in percent, instead of `amount`.", json_schema_extra=hint(unit="%")
    )
    green: Amount | None = Field(
        None, description="The share for green, in percent, instead of `amount`.", json_schema_extra=hint(unit="%")
    )
    blue: Amount | None = Field(
        None, description="The share for blue, in percent, instead of `amount`.", json_schema_extra=hint(unit="%")
    )


@algorithm(category="color", sequential=True, scale_free=True)
def colorize(image: pyvips.Image, params: ColorizeParams) -> pyvips.Image:
    """Mix a color into every pixel; alpha is unchanged."""
    own = (params.red, params.green, params.blue)
    shares = [(params.amount if share is None else share) / 100 for share in own]

    def mixed(colors: pyvips.Image) -> pyvips.Image:
        scale = maximum(colors) / 255
        added = [value * scale * share for value, share in zip(rgba(params.color), shares, strict=False)]
        return colors.linear([1 - share for share in shares], added)

    return on_colors(in_color(image), mixed)
