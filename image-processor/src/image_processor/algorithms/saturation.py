"""``saturation``: ``{"amount": 40}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.color import BLUE, GREEN, RED, is_gray
from image_processor.imaging.luma import with_matrix
from image_processor.imaging.params import Percent, hint


class SaturationParams(Params):
    amount: Percent = Field(
        description="In percent, -100 (gray) to 100 (twice as far from gray).",
        examples=[60],
        json_schema_extra=hint(unit="%"),
    )


@algorithm(category="color", sequential=True)
def saturation(image: pyvips.Image, params: SaturationParams) -> pyvips.Image:
    """Make colors stronger or weaker; the luma is unchanged."""
    if is_gray(image):
        return image
    factor = 1 + params.amount / 100
    gray = [(1 - factor) * share for share in (RED, GREEN, BLUE)]
    return with_matrix(image, [[gray[band] + (factor if band == row else 0) for band in range(3)] for row in range(3)])
