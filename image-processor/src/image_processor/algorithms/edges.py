"""``edges``: ``{"method": "canny"}``"""

from typing import Literal

import pyvips
from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.alpha import on_visible
from image_processor.imaging.arrays import pixels_of, with_pixels
from image_processor.imaging.luma import exact_luma_of, luma_of
from image_processor.imaging.params import hint


class EdgesParams(Params):
    method: Literal["sobel", "canny"] = Field(
        "sobel",
        description="`sobel`: the gradient of every pixel; `canny`: thin lines (found in 8 bits).",
        examples=["canny"],
    )
    low: float = Field(
        100.0,
        ge=0,
        le=2000,
        description="Canny: the gradient at which a line may continue.",
        json_schema_extra=hint(advanced=True),
    )
    high: float = Field(
        200.0,
        ge=0,
        le=2000,
        description="Canny: the gradient at which a line begins.",
        json_schema_extra=hint(advanced=True),
    )


@algorithm(category="detail")
def edges(image: pyvips.Image, params: EdgesParams) -> pyvips.Image:
    """Find edges: white on black; alpha is unchanged.

    (I. Sobel, "An Isotropic 3×3 Image Gradient Operator", 1968; J. Canny, "A Computational Approach to Edge
    Detection", 1986.)
    """
    if params.method == "sobel":
        return on_visible(image, 1, lambda colors: _sobel(exact_luma_of(colors)))
    return on_visible(image, 3, lambda colors: _canny(luma_of(colors), params.low, params.high))


def _sobel(gray: pyvips.Image) -> pyvips.Image:
    across = pyvips.Image.new_from_array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    x = gray.conv(across, precision="float")
    y = gray.conv(across.rot90(), precision="float")
    return ((x * x + y * y) ** 0.5).copy(interpretation=gray.interpretation)


def _canny(gray: pyvips.Image, low: float, high: float) -> pyvips.Image:
    import cv2  # large, and never needed by the API

    found = cv2.Canny(pixels_of(gray)[..., 0], low, high, L2gradient=True)
    return with_pixels(gray, found.astype("uint8").reshape(*found.shape, 1))
