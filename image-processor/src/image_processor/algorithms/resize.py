"""``resize``: ``{"width": 128, "height": 128}``, or one of them and the other follows in proportion."""

from typing import Annotated, Self

import pyvips
from pydantic import ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from service_kit.json_types import WHOLE_NUMBER

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm

MAX_SIDE = 16_384

Side = Annotated[int, Field(ge=1, le=MAX_SIDE), WHOLE_NUMBER]


class ResizeParams(Params):
    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["width"]}, {"required": ["height"]}]})

    width: Side | SkipJsonSchema[None] = Field(
        None, description="Pixels, 1 to 16384. Without it, in proportion to the height."
    )
    height: Side | SkipJsonSchema[None] = Field(
        None, description="Pixels, 1 to 16384. Without it, in proportion to the width."
    )

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        if self.width is None and self.height is None:
            raise ValueError("give width, height or both")
        return self


@algorithm
def resize(image: pyvips.Image, params: ResizeParams) -> pyvips.Image:
    """Resize to exactly width × height; with one of them given, in proportion."""
    width = params.width or _in_proportion(image.width, params.height or 1, image.height)
    height = params.height or _in_proportion(image.height, params.width or 1, image.width)
    scale, vscale = width / image.width, height / image.height
    if not image.hasalpha():
        return image.resize(scale, vscale=vscale)
    # Colours of transparent pixels must not bleed into visible ones.
    return image.premultiply().resize(scale, vscale=vscale).unpremultiply().cast(image.format)


def _in_proportion(side: int, target: int, other: int) -> int:
    proportional = max(1, round(side * target / other))
    if proportional > MAX_SIDE:
        raise UnsuitableImageError(f"The proportional size would be {proportional} pixels; {MAX_SIDE} are possible.")
    return proportional
