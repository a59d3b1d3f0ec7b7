"""``blur_faces``: ``{"method": "pixelate"}``"""

from typing import Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_premultiplied
from image_processor.imaging.blocks import in_blocks
from image_processor.imaging.faces import faces_of
from image_processor.imaging.gaussian import gaussian_to_see
from image_processor.imaging.params import hint

LEAST_SHARE = 0.06
"""The least size of the blur or of a block, as a share of the face: below it a person can be recognized."""


class BlurFacesParams(Params):
    method: Literal["blur", "pixelate"] = Field("blur", description="How faces are hidden.", examples=["pixelate"])
    strength: float = Field(
        50.0,
        ge=10,
        le=100,
        description="How strongly faces are hidden, in percent; the blur or the blocks grow with the face.",
        json_schema_extra=hint(unit="%"),
    )
    padding: float = Field(
        15.0,
        ge=0,
        le=100,
        description="The margin around the face, in percent of its size.",
        json_schema_extra=hint(unit="%"),
    )


@algorithm(category="faces")
def blur_faces(image: pyvips.Image, params: BlurFacesParams) -> pyvips.Image:
    """Hide every face that is found; an image without faces stays as it is.

    A face may be missed if it is turned away, covered, or smaller than 2 percent of the image.
    """
    image = image.copy_memory()
    for face in faces_of(image):
        area = face.grown(params.padding / 100, image)
        part = image.crop(area.left, area.top, area.width, area.height)
        size = max(2.0, max(area.width, area.height) * (LEAST_SHARE + params.strength / 700))
        image = image.insert(_hidden(part, size, params.method), area.left, area.top)
    return image


def _hidden(part: pyvips.Image, size: float, method: str) -> pyvips.Image:
    if method == "pixelate":
        return in_blocks(part, round(size))
    return on_premultiplied(part, lambda bands: gaussian_to_see(bands, size))
