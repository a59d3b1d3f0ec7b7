"""``equalize``: ``{"method": "clahe"}``"""

from typing import Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.arrays import Pixels, pixels_of, with_pixels
from image_processor.imaging.lightness import on_lightness


class EqualizeParams(Params):
    method: Literal["global", "clahe"] = Field(
        "global",
        description="Over the whole image, or in the neighbourhood of each pixel, limited (CLAHE).",
        examples=["clahe"],
    )
    window: int = Field(64, ge=8, le=1024, description="CLAHE: pixels along a side of the neighbourhood.")
    max_slope: int = Field(3, ge=1, le=100, description="CLAHE: how much contrast may grow at most.")


@algorithm
def equalize(image: pyvips.Image, params: EqualizeParams) -> pyvips.Image:
    """Spread the lightness evenly, so that detail shows everywhere; hues stay.

    (K. Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", 1994.)
    """
    if params.method == "global":
        return on_lightness(image, pyvips.Image.hist_equal)
    return on_lightness(image, lambda grey: with_pixels(grey, _clahe(pixels_of(grey), params)))


def _clahe(grey: Pixels, params: EqualizeParams) -> Pixels:
    import cv2  # a large library, which the API's processes never need

    height, width = grey.shape[:2]
    tiles = (max(1, round(width / params.window)), max(1, round(height / params.window)))
    made = cv2.createCLAHE(params.max_slope, tiles).apply(grey[..., 0])
    return made.astype("uint8").reshape(grey.shape)
