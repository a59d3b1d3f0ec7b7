"""``brightness``: ``{"amount": 20}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.params import Percent, hint
from image_processor.imaging.tone import with_tone


class BrightnessParams(Params):
    amount: Percent = Field(
        description="How much to add, in percent of white, -100 to 100.",
        examples=[25],
        json_schema_extra=hint(unit="%"),
    )


@algorithm(category="color", sequential=True)
def brightness(image: pyvips.Image, params: BrightnessParams) -> pyvips.Image:
    """Make the image brighter or darker by the same amount everywhere."""
    return with_tone(image, lambda value: value + params.amount / 100)
