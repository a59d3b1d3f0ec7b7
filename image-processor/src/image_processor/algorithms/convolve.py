"""``convolve``: ``{"kernel": [0, -1, 0, -1, 5, -1, 0, -1, 0]}``"""

import math
from typing import Annotated

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_visible
from image_processor.imaging.color import maximum
from image_processor.imaging.params import hint

Weight = Annotated[float, Field(ge=-1000, le=1000)]
Kernel = (
    Annotated[list[Weight], Field(min_length=9, max_length=9)]
    | Annotated[list[Weight], Field(min_length=25, max_length=25)]
    | Annotated[list[Weight], Field(min_length=49, max_length=49)]
)


class ConvolveParams(Params):
    kernel: Kernel = Field(
        description="The weights of 3 × 3, 5 × 5 or 7 × 7 pixels, row by row.",
        examples=[[0, -1, 0, -1, 5, -1, 0, -1, 0]],
        json_schema_extra=hint(widget="matrix"),
    )
    normalize: bool = Field(
        default=True,
        description="Whether to divide the result by the sum of the weights.",
        json_schema_extra=hint(advanced=True),
    )
    offset: float = Field(
        0.0,
        ge=-255,
        le=255,
        description="The value to add at the end, -255 to 255.",
        json_schema_extra=hint(advanced=True),
    )


@algorithm(category="detail", sequential=True)
def convolve(image: pyvips.Image, params: ConvolveParams) -> pyvips.Image:
    """Make each pixel the weighted sum of its neighbors; alpha is unchanged."""
    side = math.isqrt(len(params.kernel))
    rows = [params.kernel[start : start + side] for start in range(0, side * side, side)]
    total = sum(params.kernel)
    scale = total if params.normalize and abs(total) > 1e-9 else 1.0
    mask = pyvips.Image.new_from_array(rows, scale, params.offset * maximum(image) / 255)
    return on_visible(image, side // 2, lambda colors: colors.conv(mask, precision="float"))
