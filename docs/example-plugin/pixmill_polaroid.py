"""``polaroid``: ``{"border": 5}``"""

import pyvips
from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.canvas import embedded
from image_processor.imaging.params import hint
from pydantic import Field

RUSSIAN = {
    "Polaroid": "Полароид",
    "Frame the image like an instant photograph.": "Обрамить изображение, как моментальную фотографию.",
    "Border": "Поля",
    "The white border, in percent of the width; the bottom border is four times as wide.": (
        "Белая рамка, в процентах от ширины; снизу она вчетверо шире."
    ),
}


class PolaroidParams(Params):
    border: float = Field(
        5.0,
        ge=1,
        le=20,
        description="The white border, in percent of the width; the bottom border is four times as wide.",
        json_schema_extra=hint(unit="%"),
    )


@algorithm(category="geometry")
def polaroid(image: pyvips.Image, params: PolaroidParams) -> pyvips.Image:
    """Frame the image like an instant photograph."""
    border = round(image.width * params.border / 100)
    width, height = image.width + 2 * border, image.height + 5 * border
    return embedded(image, border, border, width, height, "#ffffff")
