"""``upscale``: ``{"factor": 2}``"""

import pyvips
from pydantic import Field
from service_kit.texts import sentence

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm
from image_processor.imaging.alpha import local_mean, on_colors
from image_processor.imaging.gaussian import gaussian
from image_processor.imaging.params import MAX_SIDE, hint
from image_processor.imaging.scaling import scaled

_SOFTNESS = 0.5
"""The standard deviation of the unsharp mask's Gaussian, in pixels of the source."""


class UpscaleParams(Params):
    factor: float = Field(2.0, gt=1, le=8, description="The factor for width and height, at most 8.", examples=[2])
    sharpen: float = Field(
        50.0,
        ge=0,
        le=200,
        description="The strength of the unsharp mask, in percent.",
        json_schema_extra=hint(unit="%"),
    )


@algorithm(category="detail", sequential=True)
def upscale(image: pyvips.Image, params: UpscaleParams) -> pyvips.Image:
    """Enlarge the image (bicubic) and sharpen it."""
    width, height = round(image.width * params.factor), round(image.height * params.factor)
    if max(width, height) > MAX_SIDE:
        raise UnsuitableImageError(
            sentence(
                "The result would have {width} × {height} pixels; the limit is {limit} per side.",
                width=width,
                height=height,
                limit=MAX_SIDE,
            )
        )

    if params.sharpen > 0:
        # Sharpen before enlarging, because there are fewer pixels.
        mean = local_mean(image, lambda bands: gaussian(bands, _SOFTNESS))
        image = on_colors(image, lambda colors: colors + (colors - mean) * (params.sharpen / 100))
    return scaled(image, width, height, "cubic")
