"""Makes one-band images whose value rises in a direction, and defines the parameters of the direction."""

import math
from typing import Annotated

import pyvips
from pydantic import Field

from image_processor.imaging.params import hint

Direction = Annotated[
    float,
    Field(
        ge=-360,
        le=360,
        description="The direction in which it grows, in degrees clockwise: 0 is down, 90 is left.",
        examples=[0],
        json_schema_extra=hint(unit="°"),
    ),
]

Place = Annotated[float, Field(ge=0, le=100, json_schema_extra=hint(unit="%"))]
"""Percent of the way across the image."""


def ramp(image: pyvips.Image, direction: Direction, start: Place, stop: Place) -> pyvips.Image:
    """Return shares for an image of this size, from 0 at ``start`` to 1 at ``stop``."""
    width, height = image.width, image.height
    across, down = -math.sin(math.radians(direction)), math.cos(math.radians(direction))
    places = pyvips.Image.xyz(width, height) + 0.5
    along = (places[0] - width / 2) * across + (places[1] - height / 2) * down
    length = width * abs(across) + height * abs(down)
    share = along / length + 0.5
    start, stop = start / 100, stop / 100
    span = stop - start
    # Without a span it is a step.
    raised = (share - start) / span if abs(span) > 1e-9 else (share >= start) / 255
    return raised.clamp(min=0, max=1)
