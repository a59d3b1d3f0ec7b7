"""Pillow, set up for a worker: its own limit would refuse what this service's limit allows, and in other words."""

import warnings

from PIL import Image

__all__ = ["Image"]

Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore", module=r"PIL\.")
