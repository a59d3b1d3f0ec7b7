"""Chooses the part of an image that a crop keeps, and the place of an image on another."""

from typing import Annotated, Literal

import pyvips
from pydantic import ConfigDict, Field

from image_processor.imaging.color import in_color, in_eight_bits, in_srgb
from image_processor.imaging.params import OR_BRITISH, Params, Share, hint
from image_processor.imaging.picture import Picture

Compass = Annotated[
    Literal["center", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"],
    OR_BRITISH,
    Field(json_schema_extra=hint(widget="gravity")),
]
Gravity = Annotated[
    Literal[
        "center",
        "north",
        "northeast",
        "east",
        "southeast",
        "south",
        "southwest",
        "west",
        "northwest",
        "attention",
        "entropy",
    ],
    OR_BRITISH,
    Field(json_schema_extra=hint(widget="gravity")),
]
"""A side or a corner; or the part that draws the eye (``attention``), or that has most detail (``entropy``)."""

SMART = ("attention", "entropy")
"""The values for which the pixels are analyzed."""


class FocalPoint(Params):
    """The point of the image to keep, as fractions of its width and height."""

    model_config = ConfigDict(json_schema_extra=hint(widget="point"))

    x: Share = Field(description="0 is the left edge, 1 the right edge.", examples=[0.5])
    y: Share = Field(description="0 is the upper edge, 1 the lower edge.", examples=[0.3])


def corner(gravity: str, room_x: int, room_y: int) -> tuple[int, int]:
    """Return left and top of an object within a frame that is ``room_x`` wider and ``room_y`` higher."""
    left = 0 if "west" in gravity else room_x if "east" in gravity else room_x // 2
    top = 0 if "north" in gravity else room_y if "south" in gravity else room_y // 2
    return left, top


def cut(picture: Picture, width: int, height: int, gravity: str, focal: FocalPoint | None) -> Picture:
    """Crop every frame to the same part, so that an animation does not jump; the pixels may be read only once."""
    if focal is None and gravity in SMART:
        picture = picture.map(pyvips.Image.copy_memory)  # they are read twice: to find the part and to crop it
    left, top = window(picture, width, height, gravity, focal)
    return picture.crop(left, top, width, height)


def window(picture: Picture, width: int, height: int, gravity: str, focal: FocalPoint | None) -> tuple[int, int]:
    """Return left and top of the ``width`` × ``height`` pixels of the picture that a crop keeps."""
    room_x, room_y = picture.width - width, picture.height - height
    if focal is not None:
        left, top = round(focal.x * picture.width - width / 2), round(focal.y * picture.height - height / 2)
        return min(max(left, 0), room_x), min(max(top, 0), room_y)
    if gravity in SMART and (room_x or room_y):
        # The same picture must give the same part in any depth and with any bands.
        plain = in_eight_bits(in_color(in_srgb(picture.first)))
        found = plain.smartcrop(width, height, interesting=gravity)
        return -found.xoffset, -found.yoffset
    return corner(gravity, room_x, room_y)
