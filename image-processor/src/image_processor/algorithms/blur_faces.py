"""``blur_faces``: ``{"method": "pixelate"}``"""

from typing import Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_premultiplied
from image_processor.imaging.blocks import in_blocks
from image_processor.imaging.faces import faces_of
from image_processor.imaging.gaussian import gaussian_to_see

LEAST_SHARE = 0.06
"""Of the face's size: a blur or blocks below it would leave who it is to be seen."""


class BlurFacesParams(Params):
    method: Literal["blur", "pixelate"] = Field(
        "blur", description="How faces are made unknown.", examples=["pixelate"]
    )
    strength: float = Field(
        50.0,
        ge=10,
        le=100,
        description="Per cent: how little is left to be seen; the blur or block grows with the face.",
    )
    padding: float = Field(15.0, ge=0, le=100, description="Per cent of the face's size around it.")


@algorithm
def blur_faces(image: pyvips.Image, params: BlurFacesParams) -> pyvips.Image:
    """Make every face that is found unknown; an image without any stays as it is.

    A face may be missed: turned away, covered, or smaller than 2 per cent of the image.
    """
    image = image.copy_memory()
    for face in faces_of(image):
        area = face.grown(params.padding / 100, image)
        part = image.crop(area.left, area.top, area.width, area.height)
        size = max(2.0, max(area.width, area.height) * (LEAST_SHARE + params.strength / 700))
        image = image.insert(_unknown(part, size, params.method), area.left, area.top)
    return image


def _unknown(part: pyvips.Image, size: float, method: str) -> pyvips.Image:
    if method == "pixelate":
        return in_blocks(part, round(size))
    return on_premultiplied(part, lambda bands: gaussian_to_see(bands, size))
