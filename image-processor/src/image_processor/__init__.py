"""Pixmill's image processing: tasks are created over HTTP, run by workers, and each result is a file."""

import os

__version__ = "0.1.0"

# Set before libvips is loaded, which any module of the package may do first: images above the threshold are decoded to
# disk instead of memory.
os.environ.setdefault("VIPS_DISC_THRESHOLD", "100m")
os.environ.setdefault("VIPS_CONCURRENCY", "1")
