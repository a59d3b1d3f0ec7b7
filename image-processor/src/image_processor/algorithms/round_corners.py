"""``round_corners``: ``{"radius": 20}``"""

from typing import Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import faded
from image_processor.imaging.params import hint


class RoundCornersParams(Params):
    radius: float = Field(
        ge=0, le=10_000, description="The radius of the corners; at most half of the shorter side.", examples=[25]
    )
    radius_y: float | None = Field(
        None,
        ge=0,
        le=10_000,
        description="The vertical radius, for elliptical corners; by default, as `radius`.",
        json_schema_extra=hint(advanced=True),
    )
    unit: Literal["px", "percent"] = Field(
        "px",
        description="The unit of `radius`: pixels, or percent of the shorter side; 50 percent makes a square a circle.",
        examples=["percent"],
    )


_INVISIBLE = 0.001
"""Pixels; a smaller radius changes no 16-bit value."""


@algorithm(category="geometry", sequential=True)
def round_corners(image: pyvips.Image, params: RoundCornersParams) -> pyvips.Image:
    """Round the corners: they become transparent (in JPEG, they get the color `output.background`)."""
    shorter = min(image.width, image.height)
    scale = shorter / 100 if params.unit == "percent" else 1
    if params.radius_y is not None:
        across, down = min(params.radius * scale, image.width / 2), min(params.radius_y * scale, image.height / 2)
        return faded(image, _share_inside_ellipses(image, across, down)) if min(across, down) > _INVISIBLE else image
    radius = min(params.radius * scale, shorter / 2)
    if radius <= _INVISIBLE:
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


def _share_inside_ellipses(image: pyvips.Image, across: float, down: float) -> pyvips.Image:
    """Return the share of each pixel that is inside, where a quarter of an ellipse rounds each corner."""
    places = pyvips.Image.xyz(image.width, image.height) + 0.5
    beyond_x = ((places[0] - image.width / 2).abs() - (image.width / 2 - across)).clamp(min=0, max=1e9)
    beyond_y = ((places[1] - image.height / 2).abs() - (image.height / 2 - down)).clamp(min=0, max=1e9)
    level = (beyond_x / across) ** 2 + (beyond_y / down) ** 2
    # The distance from the outline, to the first order: the level divided by its slope.
    slope = ((beyond_x / across**2) ** 2 + (beyond_y / down**2) ** 2) ** 0.5 * 2
    distance = (slope > 0).ifthenelse((level - 1) / slope, -1)
    return _share_inside(distance)
