"""``channels``: ``{"red": 20, "blue": -10}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.color import in_color
from image_processor.imaging.params import Percent, hint
from image_processor.imaging.tone import Curve, with_tones


class ChannelsParams(Params):
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


@algorithm(category="color", sequential=True)
def channels(image: pyvips.Image, params: ChannelsParams) -> pyvips.Image:
    """Make red, green and blue brighter or darker, each by its own amount."""

    def added(amount: float) -> Curve:
        return lambda value: value + amount / 100

    return with_tones(in_color(image), [added(amount) for amount in (params.red, params.green, params.blue)])
