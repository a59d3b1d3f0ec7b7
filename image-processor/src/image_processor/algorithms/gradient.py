"""``gradient``: ``{"color": "#000000", "direction": 0}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.color import Color, color_bands, in_color, ink
from image_processor.imaging.composite import laid
from image_processor.imaging.params import hint, or_british
from image_processor.imaging.ramps import Direction, Place, ramp


class GradientParams(Params):
    color: Color = Field(
        "#000000",
        validation_alias=or_british("color"),
        description="The color to lay over the image.",
        examples=["#1d3557"],
    )
    amount: float = Field(
        100.0,
        ge=0,
        le=100,
        description="The opacity of the color at its end, in percent.",
        examples=[80],
        json_schema_extra=hint(unit="%"),
    )
    direction: Direction = 0.0
    start: Place = Field(0.0, description="Where the color begins, in percent of the way.", examples=[40])
    stop: Place = Field(100.0, description="Where the color reaches `amount`, in percent of the way.")


@algorithm(category="composing", sequential=True, scale_free=True)
def gradient(image: pyvips.Image, params: GradientParams) -> pyvips.Image:
    """Lay a color over the image that becomes more opaque in one direction, so that text on it is readable."""
    image = in_color(image)
    share = ramp(image, params.direction, params.start, params.stop)
    alpha = (share * (params.amount / 100) * 255).cast("float")
    plain = color_bands(image) * 0 + ink(color_bands(image), params.color)
    scale = 255 if image.format == "uchar" else 65535
    veil = plain.bandjoin(alpha * (scale / 255)).rint().cast(image.format).copy(interpretation=image.interpretation)
    return laid(image, veil, 0, 0)
