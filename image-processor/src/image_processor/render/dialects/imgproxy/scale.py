"""``scale``: resample by a factor, as libvips does.

The catalog's ``resize`` takes sizes and, unlike libvips, does not shift an enlarged image. imgproxy scales by the
exact factor with libvips, and its users get the same pixels here.
"""

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.algorithms.resize import Kernel
from image_processor.imaging.picture import Picture
from image_processor.render.plans.deferred import own


class ScaleParams(Params):
    x: float = Field(gt=0, le=10_000, description="The factor of the width.")
    y: float = Field(gt=0, le=10_000, description="The factor of the height.")
    kernel: Kernel = Field("lanczos3", description="The resampling filter.")


@algorithm
def scale(picture: Picture, params: ScaleParams) -> Picture:
    """Scale each side by a factor."""
    frames = picture.at_least(max(1.0, picture.width * params.x), max(1.0, picture.height * params.y))
    across, down = picture.width / frames[0].width, picture.height / frames[0].height
    return Picture.of([_scaled(frame, params.x * across, params.y * down, params.kernel) for frame in frames])


def _scaled(image: pyvips.Image, across: float, down: float, kernel: str) -> pyvips.Image:
    if not image.hasalpha():
        return image.resize(across, vscale=down, kernel=kernel)
    weighted = image.premultiply().cast(image.format)
    return weighted.resize(across, vscale=down, kernel=kernel).unpremultiply().cast(image.format)


own(scale)
