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
        description="The color that is laid over.",
        examples=["#1d3557"],
    )
    amount: float = Field(
        100.0,
        ge=0,
        le=100,
        description="Per cent: how dense the color is at its end.",
        examples=[80],
        json_schema_extra=hint(unit="%"),
    )
    direction: Direction = 0.0
    start: Place = Field(0.0, description="Per cent of the way at which the color begins.", examples=[40])
    stop: Place = Field(100.0, description="Per cent of the way from which it is as dense as `amount`.")


@algorithm(category="composing", sequential=True)
def gradient(image: pyvips.Image, params: GradientParams) -> pyvips.Image:
    """Lay a color over the image that grows denser in a direction, so that a text on it can be read."""
    image = in_color(image)
    share = ramp(image, params.direction, params.start, params.stop)
    alpha = (share * (params.amount / 100) * 255).cast("float")
    plain = color_bands(image) * 0 + ink(color_bands(image), params.color)
    scale = 255 if image.format == "uchar" else 65535
    veil = plain.bandjoin(alpha * (scale / 255)).rint().cast(image.format).copy(interpretation=image.interpretation)
    return laid(image, veil, 0, 0)
