"""Imports what every render process needs, once, in the process that they are forked from."""

from image_processor.algorithms.registry import all_algorithms
from image_processor.render import process
from image_processor.render.dialects import imagor, imgproxy, native, thumbor

__all__ = ["imagor", "imgproxy", "native", "process", "thumbor"]

all_algorithms()
