"""``tile``: ``{"layout": "dz"}``"""

from image_processor.algorithms.registry import algorithm
from image_processor.imaging.output import Tiles


@algorithm(category="geometry", sequential=True, any_color_space=True)
def tile(params: Tiles) -> Tiles:
    """Cut the image into a pyramid of tiles for a zooming viewer (Deep Zoom and others), in a ZIP file."""
    return params
