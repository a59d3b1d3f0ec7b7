"""``emboss``: ``{"amount": 100}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_visible
from image_processor.imaging.color import maximum
from image_processor.imaging.luma import exact_luma_of
from image_processor.imaging.params import hint


class EmbossParams(Params):
    amount: float = Field(
        100.0,
        ge=0,
        le=1000,
        description="The depth of the relief, in percent.",
        examples=[150],
        json_schema_extra=hint(unit="%"),
    )


@algorithm(category="detail", sequential=True)
def emboss(image: pyvips.Image, params: EmbossParams) -> pyvips.Image:
    """Turn the image into a gray relief, lit from the upper left; alpha is unchanged."""
    slope = pyvips.Image.new_from_array([[-1, -1, 0], [-1, 0, 1], [0, 1, 1]])

    def relief(colors: pyvips.Image) -> pyvips.Image:
        gray = exact_luma_of(colors)
        middle = maximum(colors) / 2
        return (gray.conv(slope, precision="float") * (params.amount / 100) + middle).copy(
            interpretation=gray.interpretation
        )

    return on_visible(image, 1, relief)
