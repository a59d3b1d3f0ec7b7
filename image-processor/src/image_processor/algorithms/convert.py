"""``convert``: ``{"format": "webp", "quality": 80}``"""

from image_processor.algorithms.registry import algorithm
from image_processor.imaging.output import Output


@algorithm(sequential=True, any_colour_space=True)
def convert(params: Output) -> Output:
    """Encode the image anew: format, quality, metadata, profile. Every algorithm takes the same as `output`."""
    return params
