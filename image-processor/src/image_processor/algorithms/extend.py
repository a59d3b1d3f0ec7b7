"""``extend``: ``{"aspect_ratio": 1}`` or ``{"width": 800, "height": 600}``"""

from typing import Annotated, Literal, Self

import pyvips
from pydantic import Field, model_validator
from service_kit.json_types import OPTIONAL
from service_kit.texts import sentence

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm
from image_processor.imaging.alpha import on_premultiplied
from image_processor.imaging.canvas import placed
from image_processor.imaging.color import Color, alpha_band, in_color, in_eight_bits, in_srgb
from image_processor.imaging.gaussian import gaussian_to_see
from image_processor.imaging.gravity import Compass, corner
from image_processor.imaging.params import MAX_SIDE, Side, hint, needs_one_of
from image_processor.imaging.scaling import scaled

BLURRED_SIDE = 64
"""The longer side in pixels of the copy from which the blurred background is made."""


class ExtendParams(Params):
    model_config = needs_one_of("width", "height", "aspect_ratio")

    width: Annotated[Side | None, OPTIONAL] = Field(
        None,
        description="The minimum width, in pixels; by default, the width of the image.",
        json_schema_extra=hint(unit="px"),
    )
    height: Annotated[Side | None, OPTIONAL] = Field(
        None,
        description="The minimum height, in pixels; by default, the height of the image.",
        json_schema_extra=hint(unit="px"),
    )
    aspect_ratio: Annotated[Annotated[float, Field(ge=0.01, le=100)] | None, OPTIONAL] = Field(
        None,
        description="Width divided by height of the result; the canvas grows as needed.",
        examples=[1],
    )
    gravity: Compass = Field("center", description="The position of the image.")
    mode: Literal["background", "copy", "mirror", "repeat", "blur", "average"] = Field(
        "background",
        description="What surrounds the image: a color, its edge pixels, the average of its colors, or the image "
        "itself mirrored, repeated, or enlarged and blurred.",
        examples=["blur"],
    )
    background: Color = Field("#ffffff00", description="The color of the mode `background`; transparent by default.")

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        return self.with_one_of("width", "height", "aspect_ratio")


@algorithm(category="geometry")
def extend(image: pyvips.Image, params: ExtendParams) -> pyvips.Image:
    """Put the image on a larger canvas of a given size or aspect ratio; nothing is cut off."""
    width, height = _canvas(image, params)
    if params.mode == "background":
        return placed(image, width, height, params.gravity, params.background)
    if params.mode == "average":
        return placed(image.copy_memory(), width, height, params.gravity, average_color(image))
    left, top = corner(params.gravity, width - image.width, height - image.height)
    if params.mode == "blur":
        return _blurred(image, width, height).insert(image, left, top)
    return image.embed(left, top, width, height, extend=params.mode)


def _canvas(image: pyvips.Image, params: ExtendParams) -> tuple[int, int]:
    width, height = max(image.width, params.width or 0), max(image.height, params.height or 0)
    if params.aspect_ratio is not None:
        width, height = max(width, round(height * params.aspect_ratio)), max(height, round(width / params.aspect_ratio))
    if max(width, height) > max(MAX_SIDE, image.width, image.height):
        raise UnsuitableImageError(
            sentence(
                "The canvas would have {width} × {height} pixels; the limit is {limit} per side.",
                width=width,
                height=height,
                limit=MAX_SIDE,
            )
        )
    return width, height


def _blurred(image: pyvips.Image, width: int, height: int) -> pyvips.Image:
    share = min(1.0, BLURRED_SIDE / max(image.width, image.height))
    small = scaled(image, max(1, round(image.width * share)), max(1, round(image.height * share)))
    return scaled(on_premultiplied(small, lambda bands: gaussian_to_see(bands, 2)), width, height, "cubic")


def average_color(image: pyvips.Image) -> str:
    """Return the average of the visible colors."""
    plain = in_eight_bits(in_color(in_srgb(image)))
    alpha = alpha_band(plain)
    if alpha is None or alpha.max() == 0:
        means = [plain[band].avg() for band in range(3)]
    else:
        means = [(plain[band] * alpha).avg() / alpha.avg() for band in range(3)]
    return "#" + "".join(f"{round(mean):02x}" for mean in means)
