"""``polaroid``: ``{"border": 5}``"""

import pyvips
from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.canvas import embedded
from pydantic import Field


class PolaroidParams(Params):
    border: float = Field(5.0, ge=1, le=20, description="Per cent of the width, white; four times that below.")


@algorithm
def polaroid(image: pyvips.Image, params: PolaroidParams) -> pyvips.Image:
    """Frame the image like an instant photograph."""
    border = round(image.width * params.border / 100)
    width, height = image.width + 2 * border, image.height + 5 * border
    return embedded(image, border, border, width, height, "#ffffff")
