"""``crop``: ``{"width": 200, "height": 100, "left": 10, "top": 20}``, or by ``gravity``, in pixels or percent."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from service_kit.json_types import OPTIONAL
from service_kit.texts import sentence

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm
from image_processor.imaging.gravity import FocalPoint, Gravity, window
from image_processor.imaging.params import MAX_SIDE, hint, needs_one_of
from image_processor.imaging.picture import Picture

Length = Annotated[float, Field(gt=0, le=MAX_SIDE)]
Offset = Annotated[float, Field(ge=0, le=MAX_SIDE)]


class CropParams(Params):
    model_config = needs_one_of("width", "height", "aspect_ratio", "left", "top")

    width: Annotated[Length | None, OPTIONAL] = Field(
        None, description="The width of the part; by default, the width of the image.", examples=[50]
    )
    height: Annotated[Length | None, OPTIONAL] = Field(
        None, description="The height of the part; by default, the height of the image.", examples=[50]
    )
    unit: Literal["px", "percent"] = Field(
        "px",
        description="The unit of `width`, `height`, `left` and `top`: pixels, or percent of the image.",
        examples=["percent"],
    )
    left: Annotated[Offset | None, OPTIONAL] = Field(
        None, description="The left edge of the part; by default, `gravity` decides."
    )
    top: Annotated[Offset | None, OPTIONAL] = Field(
        None, description="The upper edge of the part; by default, `gravity` decides."
    )
    aspect_ratio: Annotated[Annotated[float, Field(ge=0.01, le=100)] | None, OPTIONAL] = Field(
        None,
        description="Width divided by height; the result is the largest part of this ratio within `width` and "
        "`height`.",
    )
    gravity: Gravity = Field(
        "center", description="Which part to keep if `left` or `top` is missing.", examples=["attention"]
    )
    focal: FocalPoint | None = Field(
        None,
        description="The point to keep in the middle; overrides `gravity`.",
        json_schema_extra=hint(widget="point"),
    )

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        return self.with_one_of("width", "height", "aspect_ratio", "left", "top")


@algorithm(category="geometry", any_color_space=True)
def crop(picture: Picture, params: CropParams) -> Picture:
    """Keep a part of the image, chosen by its position, by a side or corner, or by what draws the eye."""
    width, height = _size(picture, params)
    left, top = window(picture, width, height, params.gravity, params.focal)
    if params.left is not None:
        left = _pixels(params.left, picture.width, params.unit)
    if params.top is not None:
        top = _pixels(params.top, picture.height, params.unit)
    # A part that exceeds the image is cut and not refused, because the images of a batch differ in size.
    width, height = min(width, picture.width - left), min(height, picture.height - top)
    if width < 1 or height < 1:
        raise UnsuitableImageError(
            sentence(
                "The part to keep lies outside the image, which has {width} × {height} pixels.",
                width=picture.width,
                height=picture.height,
            )
        )
    return picture.crop(left, top, width, height)


def _size(picture: Picture, params: CropParams) -> tuple[int, int]:
    width, height = picture.width, picture.height
    if params.width is not None:
        width = min(width, max(1, _pixels(params.width, picture.width, params.unit)))
    if params.height is not None:
        height = min(height, max(1, _pixels(params.height, picture.height, params.unit)))
    if params.aspect_ratio is None:
        return width, height
    ratio = params.aspect_ratio
    return min(width, max(1, round(height * ratio))), min(height, max(1, round(width / ratio)))


def _pixels(length: float, side: int, unit: str) -> int:
    return round(length * side / 100) if unit == "percent" else round(length)
