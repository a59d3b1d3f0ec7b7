"""``overlay``: ``{"file_id": 7, "blend": "multiply"}``"""

from collections.abc import Sequence
from typing import Annotated, Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import faded
from image_processor.imaging.composite import laid, masked
from image_processor.imaging.files import Files
from image_processor.imaging.gravity import Compass, corner
from image_processor.imaging.params import OR_BRITISH, FileId, Side, hint
from image_processor.imaging.scaling import scaled

Blend = Annotated[
    Literal[
        "normal", "multiply", "screen", "overlay", "darken", "lighten", "color-dodge", "color-burn", "hard-light",
        "soft-light", "difference", "exclusion", "add", "mask", "mask-out",
    ],
    OR_BRITISH,
]  # fmt: skip
_MASKS = ("mask", "mask-out")

Offset = Annotated[int, Field(ge=-16_384, le=16_384)]


class OverlayParams(Params):
    file_id: FileId = Field(description="The id of the stored image to put on the source.", examples=[2])
    blend: Blend = Field(
        "normal",
        description="How colors are mixed (W3C, Compositing and Blending 1); `mask` keeps the source where the other "
        "image is opaque, `mask-out` where it is not.",
        examples=["screen"],
    )
    width: Side | None = Field(
        None,
        description="The width of the other image, in pixels; by default, in proportion or unchanged.",
        examples=[200],
        json_schema_extra=hint(unit="px"),
    )
    height: Side | None = Field(
        None,
        description="The height of the other image, in pixels; by default, in proportion or unchanged.",
        json_schema_extra=hint(unit="px"),
    )
    gravity: Compass = Field("center", description="The position of the other image.")
    x: Offset = Field(
        0, description="How far the other image moves to the right, in pixels.", json_schema_extra=hint(unit="px")
    )
    y: Offset = Field(
        0, description="How far the other image moves down, in pixels.", json_schema_extra=hint(unit="px")
    )
    opacity: float = Field(100.0, ge=0, le=100, description="In percent.", json_schema_extra=hint(unit="%"))

    def file_ids(self) -> Sequence[int]:
        return [self.file_id]


@algorithm(category="composing", sequential=True)
def overlay(image: pyvips.Image, params: OverlayParams, files: Files) -> pyvips.Image:
    """Put another image on this one, with a blend mode."""
    over = faded(_sized(files.image(params.file_id), params), params.opacity / 100)
    left, top = corner(params.gravity, image.width - over.width, image.height - over.height)
    left, top = left + params.x, top + params.y
    if params.blend in _MASKS:
        return masked(image, over, left, top, out=params.blend == "mask-out")
    return laid(image, over, left, top, params.blend)


def _sized(over: pyvips.Image, params: OverlayParams) -> pyvips.Image:
    if params.width is None and params.height is None:
        return over
    width = params.width or max(1, round(over.width * (params.height or 1) / over.height))
    height = params.height or max(1, round(over.height * (params.width or 1) / over.width))
    return scaled(over, width, height)
