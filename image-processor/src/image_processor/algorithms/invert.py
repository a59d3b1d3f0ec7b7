"""``invert``"""

import pyvips

from image_processor.algorithms.registry import NoParams, algorithm
from image_processor.imaging.tone import with_tone


@algorithm(category="color", sequential=True, scale_free=True)
def invert(image: pyvips.Image, params: NoParams) -> pyvips.Image:  # noqa: ARG001 (an algorithm's signature)
    """Make a negative: black becomes white; alpha is unchanged."""
    return with_tone(image, lambda value: value * -1 + 1)
