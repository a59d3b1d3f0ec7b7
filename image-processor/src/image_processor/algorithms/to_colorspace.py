"""``to_colorspace``: ``{"space": "cmyk", "output": {"format": "tiff"}}``"""

from typing import Annotated, Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_colors
from image_processor.imaging.canvas import flattened
from image_processor.imaging.color import in_color, in_srgb
from image_processor.imaging.luma import luma_of
from image_processor.imaging.params import OR_BRITISH


class ToColorspaceParams(Params):
    space: Annotated[Literal["srgb", "p3", "cmyk", "gray"], OR_BRITISH] = Field(
        description="`cmyk` has 8 bits and no alpha (transparent parts are put on white). Only JPEG and TIFF keep it; "
        "other formats convert it back to sRGB.",
        examples=["gray"],
    )


@algorithm(category="color", sequential=True, any_color_space=True)
def to_colorspace(image: pyvips.Image, params: ToColorspaceParams) -> pyvips.Image:
    """Convert the colors through ICC profiles to sRGB, Display P3 (the profile is embedded), CMYK or gray."""
    if params.space == "p3":
        return in_color(_tagged(image)).icc_transform("p3", embedded=True, input_profile="srgb", depth=_depth(image))
    image = in_srgb(image)
    if params.space == "srgb":
        return image
    if params.space == "gray":
        return on_colors(image, luma_of)
    return flattened(in_color(image), "#ffffff").icc_transform("cmyk", input_profile="srgb", depth=8)


def _tagged(image: pyvips.Image) -> pyvips.Image:
    """Return the image as its own profile describes it, or in sRGB."""
    return image if image.get_typeof("icc-profile-data") and image.bands >= 3 else in_srgb(image)


def _depth(image: pyvips.Image) -> int:
    return 16 if image.format == "ushort" else 8
