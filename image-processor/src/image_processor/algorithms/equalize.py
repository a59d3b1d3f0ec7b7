"""``equalize``: ``{"method": "clahe"}``"""

from typing import Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.lightness import on_lightness


class EqualizeParams(Params):
    method: Literal["global", "clahe"] = Field(
        "global",
        description="Over the whole image, or in the neighbourhood of each pixel, limited (CLAHE).",
        examples=["clahe"],
    )
    window: int = Field(64, ge=8, le=512, description="CLAHE: pixels along a side of the neighbourhood.")
    max_slope: int = Field(3, ge=1, le=100, description="CLAHE: how much contrast may grow at most.")


@algorithm
def equalize(image: pyvips.Image, params: EqualizeParams) -> pyvips.Image:
    """Spread the lightness evenly, so that detail shows everywhere; hues stay.

    (S. M. Pizer et al., "Adaptive Histogram Equalization and Its Variations", 1987.)
    """
    if params.method == "global":
        return on_lightness(image, pyvips.Image.hist_equal)
    width, height = min(params.window, image.width), min(params.window, image.height)
    return on_lightness(image, lambda grey: grey.hist_local(width, height, max_slope=params.max_slope))
