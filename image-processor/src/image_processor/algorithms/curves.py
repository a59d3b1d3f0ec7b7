"""``curves``: ``{"all": [{"input": 0, "output": 0}, {"input": 128, "output": 160}, {"input": 255, "output": 255}]}``"""

from typing import Annotated, Self

import numpy
import pyvips
from pydantic import Field, model_validator
from service_kit.json_types import OPTIONAL

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.color import in_color, is_gray
from image_processor.imaging.monotone import MonotoneCurve
from image_processor.imaging.params import hint, needs_one_of
from image_processor.imaging.tone import Curve, with_tone, with_tones


class CurvePoint(Params):
    input: float = Field(ge=0, le=255)
    output: float = Field(ge=0, le=255)


Points = Annotated[list[CurvePoint], Field(min_length=1, max_length=32)]


class CurvesParams(Params):
    model_config = needs_one_of("all", "red", "green", "blue")

    all: Annotated[Points | None, OPTIONAL] = Field(
        None,
        description="Points of the curve of all bands, 0 to 255; if two have the same input, the last one counts.",
        examples=[
            [
                {"input": 0, "output": 0},
                {"input": 64, "output": 40},
                {"input": 192, "output": 225},
                {"input": 255, "output": 255},
            ]
        ],
        json_schema_extra=hint(widget="curve"),
    )
    red: Annotated[Points | None, OPTIONAL] = Field(
        None, description="The curve of red, applied after `all`.", json_schema_extra=hint(widget="curve")
    )
    green: Annotated[Points | None, OPTIONAL] = Field(
        None, description="The curve of green, applied after `all`.", json_schema_extra=hint(widget="curve")
    )
    blue: Annotated[Points | None, OPTIONAL] = Field(
        None, description="The curve of blue, applied after `all`.", json_schema_extra=hint(widget="curve")
    )

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        return self.with_one_of("all", "red", "green", "blue")


@algorithm(category="color", sequential=True)
def curves(image: pyvips.Image, params: CurvesParams) -> pyvips.Image:
    """Change the tones with a smooth curve through points, for all bands together or for each band."""
    if params.all is not None:
        image = with_tone(image, _curve(params.all))
    own = (params.red, params.green, params.blue)
    if own == (None, None, None):
        return image
    image = in_color(image) if is_gray(image) else image
    return with_tones(image, [_curve(points) for points in own])


def _curve(points: list[CurvePoint] | None) -> Curve:
    if points is None:
        return lambda value: value
    through = MonotoneCurve({point.input / 255: point.output / 255 for point in points})

    def curve(ramp: pyvips.Image) -> pyvips.Image:
        values = numpy.linspace(0, 1, ramp.width)
        return pyvips.Image.new_from_array(through(values).reshape(1, -1).astype("float32"))

    return curve
