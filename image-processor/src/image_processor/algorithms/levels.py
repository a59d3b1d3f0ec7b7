"""``levels``: ``{"black": 20, "white": 235}``"""

from typing import Annotated, Self

import pyvips
from pydantic import Field, model_validator

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.params import hint, needs_one_of
from image_processor.imaging.tone import with_tone

Level = Annotated[float, Field(ge=0, le=255)]


class LevelsParams(Params):
    model_config = needs_one_of("black", "white", "gamma", "output_black", "output_white")

    black: Level = Field(0, description="The tone that becomes black, 0 to 255.", examples=[30])
    white: Level = Field(
        255,
        description="The tone that becomes white, 0 to 255; at or below `black`, only black and white remain.",
        examples=[220],
    )
    gamma: float = Field(
        1.0,
        ge=0.1,
        le=10,
        description="The gamma of the tones in between; above 1 makes them brighter.",
        examples=[1.2],
    )
    output_black: Level = Field(
        0, description="The tone that black becomes at the end.", json_schema_extra=hint(advanced=True)
    )
    output_white: Level = Field(
        255, description="The tone that white becomes at the end.", json_schema_extra=hint(advanced=True)
    )

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        return self.with_one_of("black", "white", "gamma", "output_black", "output_white")


@algorithm(category="color", sequential=True)
def levels(image: pyvips.Image, params: LevelsParams) -> pyvips.Image:
    """Stretch the tones between two levels to the whole range."""
    black, span = params.black / 255, max(params.white - params.black, 1e-6) / 255
    low, high = params.output_black / 255, params.output_white / 255

    def curve(value: pyvips.Image) -> pyvips.Image:
        share = ((value - black) / span).clamp(min=0, max=1)
        return share ** (1 / params.gamma) * (high - low) + low

    return with_tone(image, curve)
