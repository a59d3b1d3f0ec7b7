"""``stamp``: ``{"file_id": 7, "gravity": "southeast", "x": 10, "y": 10}``"""

from collections.abc import Sequence
from typing import Annotated, Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.overlay import Blend, Offset
from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import faded
from image_processor.imaging.color import with_alpha
from image_processor.imaging.composite import laid, masked
from image_processor.imaging.files import Files
from image_processor.imaging.gravity import Compass
from image_processor.imaging.params import FileId, hint
from image_processor.imaging.scaling import scaled

Gap = Annotated[int, Field(ge=0, le=16_384)]


class StampParams(Params):
    file_id: FileId = Field(description="The id of the stored image to put on the source.", examples=[2])
    gravity: Compass = Field("center", description="The side or corner that `x` and `y` count from.")
    x: Offset = Field(
        0,
        description="In pixels: the distance from the left or right edge if `gravity` is at that edge, otherwise to "
        "the right of the middle.",
        examples=[20],
        json_schema_extra=hint(unit="px"),
    )
    y: Offset = Field(
        0,
        description="In pixels: the distance from the upper or lower edge if `gravity` is at that edge, otherwise "
        "below the middle.",
        json_schema_extra=hint(unit="px"),
    )
    repeat: Literal["none", "x", "y", "both"] = Field(
        "none", description="Whether to repeat the other image in a row, in a column, or all over.", examples=["x"]
    )
    gap_x: Gap = Field(
        0, description="The space between copies in a row, in pixels.", json_schema_extra=hint(unit="px")
    )
    gap_y: Gap = Field(
        0, description="The space between copies in a column, in pixels.", json_schema_extra=hint(unit="px")
    )
    width: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="The maximum width of the other image, in percent of the width of the source.",
        json_schema_extra=hint(unit="%"),
    )
    height: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="The maximum height of the other image, in percent of the height of the source.",
        json_schema_extra=hint(unit="%"),
    )
    opacity: float = Field(100.0, ge=0, le=100, description="In percent.", json_schema_extra=hint(unit="%"))
    blend: Blend = Field("normal", description="As in `overlay`.")

    def file_ids(self) -> Sequence[int]:
        return [self.file_id]


@algorithm(category="composing", sequential=True)
def stamp(image: pyvips.Image, params: StampParams, files: Files) -> pyvips.Image:
    """Put another image on this one at a position in pixels, once or repeated; ``watermark`` is simpler."""
    over = faded(_sized(files.image(params.file_id), image, params), params.opacity / 100)
    left = _start(params.gravity, params.x, image.width - over.width, "west", "east")
    top = _start(params.gravity, params.y, image.height - over.height, "north", "south")
    if params.repeat != "none":
        along, down = params.repeat in ("x", "both"), params.repeat in ("y", "both")
        over = _repeated(over, params, image.width if along else 1, image.height if down else 1)
        left, top = 0 if along else left, 0 if down else top
    if params.blend in ("mask", "mask-out"):
        return masked(image, over, left, top, out=params.blend == "mask-out")
    return laid(image, over, left, top, params.blend)


def _sized(over: pyvips.Image, image: pyvips.Image, params: StampParams) -> pyvips.Image:
    shares = [
        side * percent / 100 / own
        for side, percent, own in (
            (image.width, params.width, over.width),
            (image.height, params.height, over.height),
        )
        if percent is not None
    ]
    if not shares:
        return over
    return scaled(over, max(1, round(over.width * min(shares))), max(1, round(over.height * min(shares))))


def _start(gravity: str, offset: int, room: int, near: str, far: str) -> int:
    if near in gravity:
        return offset
    return room - offset if far in gravity else room // 2 + offset


def _repeated(over: pyvips.Image, params: StampParams, width: int, height: int) -> pyvips.Image:
    """Return copies of the image next to and below each other, of at least that size."""
    cell = with_alpha(over).embed(0, 0, over.width + params.gap_x, over.height + params.gap_y)
    return cell.replicate(-(-width // cell.width), -(-height // cell.height))
