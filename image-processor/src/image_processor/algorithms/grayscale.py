"""``grayscale``"""

import pyvips

from image_processor.algorithms.registry import NoParams, algorithm
from image_processor.imaging.alpha import on_colors
from image_processor.imaging.luma import luma_of


@algorithm(category="color", sequential=True, scale_free=True)
def grayscale(image: pyvips.Image, params: NoParams) -> pyvips.Image:  # noqa: ARG001 (an algorithm's signature)
    """Remove the colors: each pixel becomes its luma (ITU-R BT.601)."""
    return on_colors(image, luma_of)
