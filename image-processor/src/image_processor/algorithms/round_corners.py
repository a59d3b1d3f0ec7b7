"""``round_corners``: ``{"radius": 20}``"""

from typing import Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import faded


class RoundCornersParams(Params):
    radius: float = Field(
        ge=0, le=10_000, description="The radius of the corners; at most half of the shorter side.", examples=[25]
    )
    unit: Literal["px", "percent"] = Field(
        "px",
        description="The unit of `radius`: pixels, or per cent of the shorter side; 50 makes a circle of a square.",
        examples=["percent"],
    )


@algorithm(sequential=True)
def round_corners(image: pyvips.Image, params: RoundCornersParams) -> pyvips.Image:
    """Round the corners: they become transparent (in JPEG, `output.background`)."""
    shorter = min(image.width, image.height)
    radius = min(params.radius * (shorter / 100 if params.unit == "percent" else 1), shorter / 2)
    if radius <= 0:
        return image
    distance = pyvips.Image.sdf(
        image.width,
        image.height,
        "rounded-box",
        a=[-0.5, -0.5],
        b=[image.width - 0.5, image.height - 0.5],
        corners=[radius] * 4,
    )
    return faded(image, _share_inside(distance))


def _share_inside(distance: pyvips.Image) -> pyvips.Image:
    """Return the share of each pixel that is inside, 0 to 1, by the distance of its middle from the outline."""
    return (distance * -1 + 0.5).clamp(min=0, max=1)
