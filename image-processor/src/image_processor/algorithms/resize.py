"""``resize``: ``{"width": 128, "height": 128}``, or one of them and the other follows in proportion."""

from typing import Annotated, Literal, Self

import pyvips
from pydantic import ConfigDict, Field, model_validator
from service_kit.errors import RuleError
from service_kit.json_types import OPTIONAL
from service_kit.texts import counted, sentence

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm
from image_processor.imaging.canvas import placed
from image_processor.imaging.color import Color, in_srgb
from image_processor.imaging.gravity import SMART, FocalPoint, Gravity, cut
from image_processor.imaging.linear_light import in_linear_light
from image_processor.imaging.params import MAX_SIDE, Side, hint
from image_processor.imaging.picture import Picture
from image_processor.imaging.scaling import resampled, scaled

Fit = Literal["fill", "contain", "cover", "inside", "outside"]
Kernel = Literal["nearest", "linear", "cubic", "mitchell", "lanczos2", "lanczos3"]


class ResizeParams(Params):
    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["width"]}, {"required": ["height"]}]})

    width: Annotated[Side | None, OPTIONAL] = Field(
        None,
        description="In pixels, 1 to 16384; by default, in proportion to the height.",
        examples=[120],
        json_schema_extra=hint(unit="px"),
    )
    height: Annotated[Side | None, OPTIONAL] = Field(
        None,
        description="In pixels, 1 to 16384; by default, in proportion to the width.",
        examples=[160],
        json_schema_extra=hint(unit="px"),
    )
    fit: Fit = Field(
        "fill",
        description="If both sides are given: `fill` stretches the image to exactly that size; `cover` fills that "
        "size and cuts off the rest; `contain` fits the image into that size, on a background; `inside` makes it at "
        "most that size, and `outside` at least.",
        examples=["cover"],
    )
    gravity: Gravity = Field(
        "center", description="Which part `cover` keeps, and where `contain` puts the image.", examples=["attention"]
    )
    focal: FocalPoint | None = Field(
        None,
        description="The point that `cover` keeps in the middle; overrides `gravity`.",
        json_schema_extra=hint(widget="point"),
    )
    enlarge: bool = Field(
        default=False, description="Whether `cover`, `contain`, `inside` and `outside` may enlarge; `fill` always does."
    )
    background: Color = Field("#ffffff00", description="The background of `contain`; transparent by default.")
    kernel: Kernel = Field(
        "lanczos3",
        description="The resampling filter, both to shrink and to enlarge.",
        json_schema_extra=hint(advanced=True),
    )
    linear: bool = Field(
        default=False,
        description="Whether to resample in linear light, which is slower but correct for fine bright detail.",
        json_schema_extra=hint(advanced=True),
    )
    dpr: Annotated[float, Field(ge=0.1, le=8)] = Field(
        1.0,
        description="Device pixel ratio, 0.1 to 8: multiplies width and height.",
        json_schema_extra=hint(advanced=True),
    )

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        if self.width is None and self.height is None:
            raise RuleError("no_size", sentence("give width, height or both"))
        return self


@algorithm(category="geometry", sequential=True, any_color_space=True)
def resize(picture: Picture, params: ResizeParams) -> Picture:
    """Resize to width × height, or to one of them and keep the proportions."""
    box_width, box_height = _box(picture, params)
    width, height = _whole_size(picture, params, box_width, box_height)
    # A smart crop must find the same part in every format, so it does not use an image that was decoded smaller.
    smart = params.fit == "cover" and params.focal is None and params.gravity in SMART
    # A drawing is rendered at the final size, without resampling.
    as_stored = (params.linear or smart) and not picture.is_drawing
    small = None if as_stored or params.kernel != "lanczos3" else picture.small(width, height)
    if small is None:
        source = picture.frames if as_stored else picture.at_least(width, height)
        if params.linear or params.fit == "contain":
            source = [in_srgb(frame) for frame in source]
        whole = Picture.of([_scale(frame, width, height, params) for frame in source])
    else:
        whole = small.in_srgb() if params.fit == "contain" else small
    if params.fit == "cover":
        return cut(whole, min(box_width, width), min(box_height, height), params.gravity, params.focal)
    if params.fit == "contain":
        return whole.map(lambda frame: placed(frame, box_width, box_height, params.gravity, params.background))
    return whole


def _box(picture: Picture, params: ResizeParams) -> tuple[int, int]:
    """Return the requested size; a missing side follows in proportion."""
    width = params.width or _in_proportion(picture.width, params.height or 1, picture.height)
    height = params.height or _in_proportion(picture.height, params.width or 1, picture.width)
    sides = max(1, round(width * params.dpr)), max(1, round(height * params.dpr))
    if max(sides) > MAX_SIDE:
        raise UnsuitableImageError(
            sentence(
                "The size would be {width} × {height} pixels; the limit is {limit} per side.",
                width=sides[0],
                height=sides[1],
                limit=MAX_SIDE,
            )
        )
    return sides


def _in_proportion(side: int, target: int, other: int) -> int:
    proportional = max(1, round(side * target / other))
    if proportional > MAX_SIDE:
        raise UnsuitableImageError(
            counted(
                "The proportional side would have {proportional} pixel; the limit is {limit}.",
                "The proportional side would have {proportional} pixels; the limit is {limit}.",
                "proportional",
                proportional=proportional,
                limit=MAX_SIDE,
            )
        )
    return proportional


def _whole_size(picture: Picture, params: ResizeParams, box_width: int, box_height: int) -> tuple[int, int]:
    """Return the size of the whole image after scaling."""
    if params.fit == "fill":
        return box_width, box_height
    across, down = box_width / picture.width, box_height / picture.height
    if params.width is None or params.height is None:
        # The side that is given is met exactly; the other one, rounded in proportion, must not make it shorter.
        is_larger = (across if params.height is None else down) > 1
        return (picture.width, picture.height) if is_larger and not params.enlarge else (box_width, box_height)
    scale = max(across, down) if params.fit in ("cover", "outside") else min(across, down)
    if not params.enlarge:
        scale = min(scale, 1.0)
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if max(width, height) > MAX_SIDE:
        raise UnsuitableImageError(
            sentence(
                "The image would have {width} × {height} pixels; the limit is {limit} per side.",
                width=width,
                height=height,
                limit=MAX_SIDE,
            )
        )
    return width, height


def _scale(image: pyvips.Image, width: int, height: int, params: ResizeParams) -> pyvips.Image:
    if params.linear:
        return in_linear_light(image, lambda bands: resampled(bands, width, height, params.kernel))
    return scaled(image, width, height, params.kernel)
