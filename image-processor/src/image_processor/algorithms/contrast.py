"""``contrast``: ``{"amount": 20}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.params import Percent, hint
from image_processor.imaging.tone import with_tone


class ContrastParams(Params):
    amount: Percent = Field(
        description="In percent, -100 (all gray) to 100 (twice as far from middle gray).",
        examples=[40],
        json_schema_extra=hint(unit="%"),
    )


@algorithm(category="color", sequential=True)
def contrast(image: pyvips.Image, params: ContrastParams) -> pyvips.Image:
    """Move tones away from middle gray, or towards it."""
    return with_tone(image, lambda value: (value - 0.5) * (1 + params.amount / 100) + 0.5)
