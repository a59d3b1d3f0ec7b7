"""``denoise``: ``{"method": "non_local_means", "strength": 30}``"""

from typing import Literal

import numpy
import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_visible
from image_processor.imaging.arrays import DeepPixels, deep_pixels_of, with_pixels

_PATCH, _SEARCH = 7, 9
"""The sides in pixels of the patches that are compared, and of the area that is searched for them."""
_REACH = (_PATCH + _SEARCH) // 2


class DenoiseParams(Params):
    method: Literal["median", "bilateral", "non_local_means"] = Field(
        "bilateral",
        description="`median` removes single wrong pixels; `bilateral` smooths areas and keeps edges; "
        "`non_local_means` is the best and the slowest.",
        examples=["non_local_means"],
    )
    strength: float = Field(
        30.0, ge=1, le=100, description="1 to 100: how large a difference counts as noise.", examples=[60]
    )


@algorithm(category="detail")
def denoise(image: pyvips.Image, params: DenoiseParams) -> pyvips.Image:
    """Remove noise and keep edges; alpha is unchanged.

    (C. Tomasi and R. Manduchi, "Bilateral Filtering for Gray and Color Images", 1998; A. Buades et al., "A non-local
    algorithm for image denoising", 2005.)
    """
    if params.method == "median":
        side = 3 + 2 * round(params.strength / 34)
        if not _fits(image, side):
            return image
        return on_visible(image, side // 2, lambda colors: colors.rank(side, side, side * side // 2))
    return on_visible(image, _REACH, lambda colors: with_pixels(colors, _smoothed(deep_pixels_of(colors), params)))


def _fits(image: pyvips.Image, side: int) -> bool:
    return int(min(image.width, image.height)) >= side


def _smoothed(pixels: DeepPixels, params: DenoiseParams) -> DeepPixels:
    import cv2  # large, and never needed by the API

    scale = 257 if pixels.dtype == numpy.uint16 else 1
    if params.method == "bilateral":
        # OpenCV accepts 16 bits only as floating point.
        values = pixels if scale == 1 else pixels.astype("float32")
        made = cv2.bilateralFilter(values, d=9, sigmaColor=params.strength * 2 * scale, sigmaSpace=3)
    else:
        strength = params.strength / 2 * scale
        made = cv2.fastNlMeansDenoising(pixels, [strength] * pixels.shape[2], None, _PATCH, _SEARCH, cv2.NORM_L1)
    smoothed = numpy.asarray(made).reshape(pixels.shape)
    return smoothed.astype("uint8") if scale == 1 else numpy.rint(smoothed).astype("uint16")
