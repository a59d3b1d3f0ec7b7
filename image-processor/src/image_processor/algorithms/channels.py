"""``channels``: ``{"red": 20, "blue": -10}``"""

from typing import Self

import pyvips
from pydantic import Field, model_validator

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.color import in_color
from image_processor.imaging.params import Percent, hint, needs_one_of
from image_processor.imaging.tone import Curve, with_tones


class ChannelsParams(Params):
    model_config = needs_one_of("red", "green", "blue")

    red: Percent = Field(
        0,
        description="How much to add to red, in percent of white, -100 to 100.",
        examples=[20],
        json_schema_extra=hint(unit="%"),
    )
    green: Percent = Field(
        0, description="How much to add to green, in percent of white, -100 to 100.", json_schema_extra=hint(unit="%")
    )
    blue: Percent = Field(
        0,
        description="How much to add to blue, in percent of white, -100 to 100.",
        examples=[-20],
        json_schema_extra=hint(unit="%"),
    )

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        return self.with_one_of("red", "green", "blue")


@algorithm(category="color", sequential=True)
def channels(image: pyvips.Image, params: ChannelsParams) -> pyvips.Image:
    """Make red, green and blue brighter or darker, each by its own amount."""

    def added(amount: float) -> Curve:
        return lambda value: value + amount / 100

    return with_tones(in_color(image), [added(amount) for amount in (params.red, params.green, params.blue)])
