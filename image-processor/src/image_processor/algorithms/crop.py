"""``crop``: ``{"width": 200, "height": 100, "left": 10, "top": 20}``, or by ``gravity``, in pixels or per cent."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from service_kit.json_types import OPTIONAL

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm
from image_processor.imaging.gravity import FocalPoint, Gravity, window
from image_processor.imaging.params import MAX_SIDE, needs_one_of
from image_processor.imaging.picture import Picture

Length = Annotated[float, Field(gt=0, le=MAX_SIDE)]
Offset = Annotated[float, Field(ge=0, le=MAX_SIDE)]


class CropParams(Params):
    model_config = needs_one_of("width", "height", "aspect_ratio", "left", "top")

    width: Annotated[Length | None, OPTIONAL] = Field(
        None, description="Of the part; without it, as wide as the image.", examples=[50]
    )
    height: Annotated[Length | None, OPTIONAL] = Field(
        None, description="Of the part; without it, as high as the image.", examples=[50]
    )
    unit: Literal["px", "percent"] = Field(
        "px",
        description="Of `width`, `height`, `left` and `top`: pixels, or per cent of the image.",
        examples=["percent"],
    )
    left: Annotated[Offset | None, OPTIONAL] = Field(
        None, description="The part's left edge; without it, `gravity` decides."
    )
    top: Annotated[Offset | None, OPTIONAL] = Field(
        None, description="The part's upper edge; without it, `gravity` decides."
    )
    aspect_ratio: Annotated[Annotated[float, Field(ge=0.01, le=100)] | None, OPTIONAL] = Field(
        None, description="Width divided by height: the largest such part of what `width` and `height` say."
    )
    gravity: Gravity = Field(
        "center", description="What stays, where `left` or `top` do not say.", examples=["attention"]
    )
    focal: FocalPoint | None = Field(None, description="The point that stays in the middle; goes before `gravity`.")

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        return self.with_one_of("width", "height", "aspect_ratio", "left", "top")


@algorithm(any_colour_space=True)
def crop(picture: Picture, params: CropParams) -> Picture:
    """Keep a part of the image: by its place, by a side or corner, or the part that draws the eye."""
    width, height = _size(picture, params)
    left, top = window(picture.first, width, height, params.gravity, params.focal)
    if params.left is not None:
        left = _pixels(params.left, picture.width, params.unit)
    if params.top is not None:
        top = _pixels(params.top, picture.height, params.unit)
    # What juts out is cut: a batch holds images of several sizes.
    width, height = min(width, picture.width - left), min(height, picture.height - top)
    if width < 1 or height < 1:
        raise UnsuitableImageError(f"The part lies outside of the image of {picture.width} × {picture.height} pixels.")
    return picture.map(lambda frame: frame.crop(left, top, width, height))


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
