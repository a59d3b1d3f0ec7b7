"""``sharpen``: ``{"amount": 100}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import local_mean, on_colors
from image_processor.imaging.color import maximum
from image_processor.imaging.gaussian import gaussian
from image_processor.imaging.params import hint


class SharpenParams(Params):
    radius: float = Field(
        1.0,
        gt=0,
        le=50,
        description="The standard deviation of the Gaussian, in pixels.",
        examples=[2],
        json_schema_extra=hint(unit="px"),
    )
    amount: float = Field(
        100.0,
        ge=0,
        le=1000,
        description="How much of the difference from the blurred image to add, in percent.",
        examples=[150],
        json_schema_extra=hint(unit="%"),
    )
    threshold: float = Field(
        0.0,
        ge=0,
        le=255,
        description="Smaller differences, 0 to 255, count as noise and stay unchanged.",
        json_schema_extra=hint(advanced=True),
    )


@algorithm(category="detail", sequential=True)
def sharpen(image: pyvips.Image, params: SharpenParams) -> pyvips.Image:
    """Make edges stand out (unsharp mask); alpha is unchanged."""
    least = params.threshold * maximum(image) / 255

    mean = local_mean(image, lambda bands: gaussian(bands, params.radius))

    def sharpened(colors: pyvips.Image) -> pyvips.Image:
        detail = colors - mean
        if least > 0:
            detail = (detail.abs() < least).ifthenelse(0, detail)
        return colors + detail * (params.amount / 100)

    return on_colors(image, sharpened)
