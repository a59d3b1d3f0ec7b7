"""``hue``: ``{"degrees": 90}``"""

import math

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.color import is_gray
from image_processor.imaging.luma import with_matrix
from image_processor.imaging.params import hint


class HueParams(Params):
    degrees: float = Field(
        ge=-360,
        le=360,
        description="The angle by which colors move around the color wheel.",
        examples=[90],
        json_schema_extra=hint(unit="°"),
    )


@algorithm(category="color", sequential=True)
def hue(image: pyvips.Image, params: HueParams) -> pyvips.Image:
    """Move all colors around the color wheel, as CSS's hue-rotate() does (Filter Effects 1, 9.6); gray is unchanged."""
    if is_gray(image):
        return image
    cos, sin = math.cos(math.radians(params.degrees)), math.sin(math.radians(params.degrees))
    return with_matrix(
        image,
        [
            [0.213 + cos * 0.787 - sin * 0.213, 0.715 - cos * 0.715 - sin * 0.715, 0.072 - cos * 0.072 + sin * 0.928],
            [0.213 - cos * 0.213 + sin * 0.143, 0.715 + cos * 0.285 + sin * 0.140, 0.072 - cos * 0.072 - sin * 0.283],
            [0.213 - cos * 0.213 - sin * 0.787, 0.715 - cos * 0.715 + sin * 0.715, 0.072 + cos * 0.928 + sin * 0.072],
        ],
    )
