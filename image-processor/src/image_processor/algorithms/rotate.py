"""``rotate``: ``{"angle": 90}``, or any other angle."""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_premultiplied
from image_processor.imaging.canvas import inkable, weighted_ink
from image_processor.imaging.color import Color, in_srgb
from image_processor.imaging.params import hint


class RotateParams(Params):
    angle: float = Field(
        ge=-360,
        le=360,
        description="In degrees, clockwise; a negative angle is counterclockwise.",
        examples=[15],
        json_schema_extra=hint(unit="°"),
    )
    background: Color = Field("#ffffff00", description="The color of the new corners; transparent by default.")


@algorithm(category="geometry", any_color_space=True)
def rotate(image: pyvips.Image, params: RotateParams) -> pyvips.Image:
    """Rotate the image; multiples of 90 degrees keep every pixel, other angles make the image larger."""
    quarters, rest = divmod(params.angle, 90)
    if rest == 0:
        return image.rot(f"d{int(quarters) % 4 * 90}")
    image = inkable(in_srgb(image), params.background)
    background = weighted_ink(image, params.background)
    return on_premultiplied(
        image,
        lambda bands: bands.rotate(params.angle, interpolate=pyvips.Interpolate.new("bicubic"), background=background),
    )
