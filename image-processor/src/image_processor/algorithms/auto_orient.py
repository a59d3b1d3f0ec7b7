"""``auto_orient``"""

import pyvips

from image_processor.algorithms.registry import NoParams, algorithm


@algorithm(category="geometry", sequential=True, any_color_space=True, scale_free=True)
def auto_orient(image: pyvips.Image, params: NoParams) -> pyvips.Image:  # noqa: ARG001 (an algorithm's signature)
    """Turn the image upright by its EXIF orientation. Every algorithm does this first; this one does nothing else."""
    return image
