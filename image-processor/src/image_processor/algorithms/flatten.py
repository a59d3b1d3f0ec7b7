"""``flatten``: ``{"background": "#ffffff"}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.canvas import flattened, inkable
from image_processor.imaging.color import Color, ink, rgba
from image_processor.imaging.composite import laid


class FlattenParams(Params):
    background: Color = Field(
        "#ffffff",
        description="The color behind the image; if this color is transparent, the result is too.",
        examples=["#ffb703"],
    )


@algorithm(category="composing", sequential=True, scale_free=True)
def flatten(image: pyvips.Image, params: FlattenParams) -> pyvips.Image:
    """Put a color behind the transparent parts of an image; an opaque image stays as it is."""
    if rgba(params.background)[3] == 255 or not image.hasalpha():
        return flattened(image, params.background)
    image = inkable(image, params.background)
    ground = (image * 0 + ink(image, params.background)).cast(image.format).copy(interpretation=image.interpretation)
    return laid(ground, image, 0, 0)
