"""``convert``: ``{"format": "webp", "quality": 80}``"""

from image_processor.algorithms.registry import algorithm
from image_processor.imaging.output import Output


@algorithm(category="encoding", sequential=True, any_color_space=True)
def convert(params: Output) -> Output:
    """Only encode the image: format, quality, metadata, profile. Other algorithms take the same params in `output`."""
    return params
