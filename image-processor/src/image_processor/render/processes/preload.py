"""Imports what every render process needs, once, in the process that they are forked from."""

from image_processor.algorithms.registry import all_algorithms
from image_processor.render.dialects import native
from image_processor.render.dialects.imagor import plan as imagor_plan
from image_processor.render.dialects.imgproxy import url as imgproxy_url
from image_processor.render.dialects.thumbor import plan as thumbor_plan
from image_processor.render.processes import process

__all__ = ["imagor_plan", "imgproxy_url", "native", "process", "thumbor_plan"]

all_algorithms()
