"""``trim``: ``{"threshold": 10}``"""

from typing import Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.color import Color, in_color, ink, maximum
from image_processor.imaging.params import hint
from image_processor.imaging.picture import Picture

TrimBox = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels from the upper left corner."""

Equal = Literal["none", "horizontal", "vertical", "both"]


class TrimParams(Params):
    threshold: float = Field(
        10.0,
        ge=0,
        le=255,
        description="How much a pixel must differ from the background, 0 to 255, to stay.",
        examples=[20],
    )
    background: Color | None = Field(
        None, description="The color to cut off; by default, the color of the pixel in the `corner`."
    )
    corner: Literal["northwest", "southeast"] = Field(
        "northwest",
        description="The corner whose pixel has the color to cut off: upper left or lower right.",
        json_schema_extra=hint(advanced=True),
    )
    equal: Equal = Field(
        "none",
        description="Whether to cut off equal amounts on the left and right (`horizontal`), at the top and bottom "
        "(`vertical`), or both; the side with less to cut off decides.",
        json_schema_extra=hint(advanced=True),
    )
    margin: int = Field(
        0,
        ge=0,
        le=10_000,
        description="How much of the background to keep on each side, in pixels.",
        json_schema_extra=hint(unit="px"),
    )


@algorithm(category="geometry")
def trim(picture: Picture, params: TrimParams) -> Picture:
    """Cut off edges of one color. An image that has only this color is unchanged."""
    box = box_of(picture, params)
    if box is None:
        return picture
    left, top, right, bottom = box
    return picture.map(lambda frame: frame.crop(left, top, right - left, bottom - top))


def box_of(picture: Picture, params: TrimParams) -> TrimBox | None:
    """Return the part that stays; ``None`` if the image has only one color."""
    boxes = [box for box in (_box(frame, params) for frame in picture.frames) if box is not None]
    if not boxes:
        return None
    left = max(0, min(box[0] for box in boxes) - params.margin)
    top = max(0, min(box[1] for box in boxes) - params.margin)
    right = min(picture.width, max(box[2] for box in boxes) + params.margin)
    bottom = min(picture.height, max(box[3] for box in boxes) + params.margin)
    return balanced((left, top, right, bottom), picture, params.equal)


def balanced(box: TrimBox, picture: Picture, equal: Equal) -> TrimBox:
    """Return the part enlarged so that opposite edges lose equal amounts."""
    left, top, right, bottom = box
    if equal in ("horizontal", "both"):
        left = min(left, picture.width - right)
        right = picture.width - left
    if equal in ("vertical", "both"):
        top = min(top, picture.height - bottom)
        bottom = picture.height - top
    return left, top, right, bottom


def _box(image: pyvips.Image, params: TrimParams) -> TrimBox | None:
    """Return the part that is not background; ``None`` if there is no such part."""
    if params.background is not None:
        image = in_color(image)
    x, y = (0, 0) if params.corner == "northwest" else (image.width - 1, image.height - 1)
    background = ink(image, params.background) if params.background is not None else image(x, y)
    scale = 255 / maximum(image)
    if image.hasalpha():
        # Weight the colors by their alpha, because hidden ones do not count.
        seen = background[-1] / maximum(image)
        background = [value * seen for value in background[:-1]] + background[-1:]
        image = image.premultiply(max_alpha=maximum(image))
    plain = (image * scale).cast("uchar").copy(interpretation="multiband")
    left, top, width, height = plain.find_trim(
        threshold=params.threshold, background=[value * scale for value in background], line_art=True
    )
    return (left, top, left + width, top + height) if width and height else None
