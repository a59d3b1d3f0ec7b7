"""``thumbnail``: ``{"width": 200, "height": 200}``"""

from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.gravity import Gravity, window
from image_processor.imaging.params import Side
from image_processor.imaging.picture import Picture
from image_processor.imaging.scaling import scaled


class ThumbnailParams(Params):
    width: Side = Field(200, description="Pixels at most.", examples=[160])
    height: Side = Field(200, description="Pixels at most.", examples=[160])
    crop: bool = Field(
        default=False, description="Whether it fills the size, and what juts out is cut.", examples=[True]
    )
    gravity: Gravity = Field("attention", description="What `crop` keeps.")


@algorithm(sequential=True)
def thumbnail(picture: Picture, params: ThumbnailParams) -> Picture:
    """Make a small sRGB image the fastest way: it is decoded small. Never enlarged."""
    across, down = params.width / picture.width, params.height / picture.height
    scale = min(1.0, max(across, down) if params.crop else min(across, down))
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    frames = [scaled(frame, width, height) for frame in picture.at_least(width, height)]
    if not params.crop:
        return Picture.of(frames)
    frames = [frame.copy_memory() for frame in frames]  # read twice: to find the part, and to cut it
    part_width, part_height = min(width, params.width), min(height, params.height)
    left, top = window(frames[0], part_width, part_height, params.gravity, None)
    return Picture.of([frame.crop(left, top, part_width, part_height) for frame in frames])
