"""``pad``: ``{"top": 10, "bottom": 10, "background": "#000"}``"""

from typing import Annotated, Literal, Self

import pyvips
from pydantic import Field, model_validator

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.canvas import embedded
from image_processor.imaging.color import Color
from image_processor.imaging.params import hint, needs_one_of

Margin = Annotated[int, Field(ge=0, le=10_000)]


class PadParams(Params):
    model_config = needs_one_of("top", "right", "bottom", "left")

    top: Margin = Field(0, description="The margin above, in pixels.", examples=[20], json_schema_extra=hint(unit="px"))
    right: Margin = Field(
        0, description="The margin on the right, in pixels.", examples=[20], json_schema_extra=hint(unit="px")
    )
    bottom: Margin = Field(
        0, description="The margin below, in pixels.", examples=[60], json_schema_extra=hint(unit="px")
    )
    left: Margin = Field(
        0, description="The margin on the left, in pixels.", examples=[20], json_schema_extra=hint(unit="px")
    )
    mode: Literal["background", "copy", "mirror", "repeat"] = Field(
        "background",
        description="What fills the margin: a color, the edge pixels, or the image mirrored or repeated.",
    )
    background: Color = Field(
        "#ffffff00", description="The color of the mode `background`; transparent by default.", examples=["#1d3557"]
    )

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        return self.with_one_of("top", "right", "bottom", "left")


@algorithm(category="geometry")
def pad(image: pyvips.Image, params: PadParams) -> pyvips.Image:
    """Add a margin to each side."""
    width = params.left + image.width + params.right
    height = params.top + image.height + params.bottom
    if params.mode != "background":
        return image.embed(params.left, params.top, width, height, extend=params.mode)
    return embedded(image, params.left, params.top, width, height, params.background)
