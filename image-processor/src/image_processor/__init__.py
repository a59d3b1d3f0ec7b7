"""Pixmill's image processing: tasks made over HTTP, done by workers, each result a file again."""

import os

__version__ = "0.1.0"

# libvips reads these when it is loaded, which any module of the package may do first: images above the threshold are
# decoded to disk instead of memory.
os.environ.setdefault("VIPS_DISC_THRESHOLD", "100m")
os.environ.setdefault("VIPS_CONCURRENCY", "1")
