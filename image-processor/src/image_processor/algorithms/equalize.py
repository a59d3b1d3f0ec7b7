"""``equalize``: ``{"method": "clahe"}``"""

from typing import Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.arrays import Pixels, pixels_of, with_pixels
from image_processor.imaging.color import alpha_band, maximum
from image_processor.imaging.lightness import on_lightness
from image_processor.imaging.params import hint


class EqualizeParams(Params):
    method: Literal["global", "clahe"] = Field(
        "global",
        description="`global`: over the whole image; `clahe`: around each pixel, with limited contrast, in 256 steps.",
        examples=["clahe"],
    )
    window: int = Field(
        64,
        ge=8,
        le=1024,
        description="CLAHE: the side of the area around each pixel, in pixels.",
        json_schema_extra=hint(advanced=True),
    )
    max_slope: int = Field(
        3,
        ge=1,
        le=100,
        description="CLAHE: the maximum factor by which contrast may grow.",
        json_schema_extra=hint(advanced=True),
    )


@algorithm(category="color")
def equalize(image: pyvips.Image, params: EqualizeParams) -> pyvips.Image:
    """Spread the lightness evenly, so that detail is visible everywhere; hues stay, and invisible pixels are ignored.

    (K. Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", 1994.)
    """
    alpha = alpha_band(image)
    if alpha is not None and alpha.max() == 0:
        return image
    if params.method == "global":
        return on_lightness(image, lambda gray: _equalized(gray, alpha))
    return on_lightness(image, lambda gray: with_pixels(gray, _clahe(pixels_of(_plain(gray, alpha)), params)))


def _equalized(gray: pyvips.Image, alpha: pyvips.Image | None) -> pyvips.Image:
    """Spread the tones so that each part of the range has equally many pixels, weighted by their alpha."""
    counts = gray.hist_find() if alpha is None else alpha.hist_find_indexed(gray)
    below = counts.hist_cum()
    return gray.maplut((below * (maximum(gray) / below.max())).rint().cast(gray.format))


def _plain(gray: pyvips.Image, alpha: pyvips.Image | None) -> pyvips.Image:
    """Give all invisible pixels the mean tone of the visible ones."""
    if alpha is None:
        return gray
    mean = (gray * alpha).avg() / alpha.avg()
    return (alpha > 0).ifthenelse(gray, round(mean)).copy(interpretation=gray.interpretation).cast(gray.format)


def _clahe(gray: Pixels, params: EqualizeParams) -> Pixels:
    import cv2  # large, and never needed by the API

    height, width = gray.shape[:2]
    tiles = (max(1, round(width / params.window)), max(1, round(height / params.window)))
    made = cv2.createCLAHE(params.max_slope, tiles).apply(gray[..., 0])
    return made.astype("uint8").reshape(gray.shape)
