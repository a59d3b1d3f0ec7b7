"""``progressive_blur``: ``{"radius": 8, "direction": 0}``"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_premultiplied
from image_processor.imaging.gaussian import gaussian_to_see
from image_processor.imaging.params import hint
from image_processor.imaging.ramps import Direction, Place, ramp


class ProgressiveBlurParams(Params):
    radius: float = Field(
        8.0,
        gt=0,
        le=100,
        description="The standard deviation where the blur is full, in pixels.",
        examples=[6],
        json_schema_extra=hint(unit="px"),
    )
    direction: Direction = 0.0
    start: Place = Field(0.0, description="Where the blur begins, in percent of the way.", examples=[30])
    stop: Place = Field(100.0, description="Where the blur becomes full, in percent of the way.")


@algorithm(category="detail")
def progressive_blur(image: pyvips.Image, params: ProgressiveBlurParams) -> pyvips.Image:
    """Blur the image increasingly in one direction, by mixing in a blurred copy."""
    share = ramp(image, params.direction, params.start, params.stop)

    def mixed(bands: pyvips.Image) -> pyvips.Image:
        return bands * (share * -1 + 1) + gaussian_to_see(bands, params.radius) * share

    return on_premultiplied(image, mixed)
