"""What every render process needs, imported once before they are forked from that process."""

from image_processor.algorithms.registry import all_algorithms
from image_processor.render import process
from image_processor.render.dialects import imagor, imgproxy, native, thumbor

__all__ = ["imagor", "imgproxy", "native", "process", "thumbor"]

all_algorithms()
