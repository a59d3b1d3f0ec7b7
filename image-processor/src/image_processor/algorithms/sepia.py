"""``sepia``: ``{"amount": 80}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.luma import with_matrix
from image_processor.imaging.params import hint

_SEPIA = [[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]]


class SepiaParams(Params):
    amount: float = Field(
        100.0,
        ge=0,
        le=100,
        description="In percent, 0 (unchanged) to 100 (an old photograph).",
        json_schema_extra=hint(unit="%"),
    )


@algorithm(category="color", sequential=True)
def sepia(image: pyvips.Image, params: SepiaParams) -> pyvips.Image:
    """Give the image the brown tone of an old photograph, as CSS's sepia() does (Filter Effects 1, 9.3)."""
    share = params.amount / 100
    return with_matrix(
        image,
        [[_SEPIA[row][band] * share + (1 - share if row == band else 0) for band in range(3)] for row in range(3)],
    )
