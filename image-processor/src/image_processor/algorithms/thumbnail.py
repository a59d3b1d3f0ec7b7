"""``thumbnail``: ``{"width": 200, "height": 200}``"""

from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.gravity import SMART, Gravity, cut
from image_processor.imaging.params import Side, hint
from image_processor.imaging.picture import Picture
from image_processor.imaging.scaling import scaled


class ThumbnailParams(Params):
    width: Side = Field(
        200, description="The maximum width, in pixels.", examples=[160], json_schema_extra=hint(unit="px")
    )
    height: Side = Field(
        200, description="The maximum height, in pixels.", examples=[160], json_schema_extra=hint(unit="px")
    )
    crop: bool = Field(
        default=False, description="Whether to fill the whole size and cut off the rest.", examples=[True]
    )
    gravity: Gravity = Field("attention", description="Which part `crop` keeps.")


@algorithm(category="geometry", sequential=True)
def thumbnail(picture: Picture, params: ThumbnailParams) -> Picture:
    """Make a small sRGB image as fast as possible, by decoding it at a reduced size. It is never enlarged."""
    across, down = params.width / picture.width, params.height / picture.height
    scale = min(1.0, max(across, down) if params.crop else min(across, down))
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    # A smart crop must find the same part in every format, so it does not use an image that was decoded smaller.
    smart = params.crop and params.gravity in SMART
    whole = None if smart else picture.small(width, height)
    if whole is None:
        source = picture.frames if smart else picture.at_least(width, height)
        whole = Picture.of([scaled(frame, width, height) for frame in source])
    if not params.crop:
        return whole
    return cut(whole, min(width, params.width), min(height, params.height), params.gravity, None)
