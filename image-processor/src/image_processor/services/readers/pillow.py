"""Imports Pillow without its pixel limit and warnings: the service has its own limit and error messages."""

import warnings

from PIL import Image

__all__ = ["Image"]

Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore", module=r"PIL\.")
