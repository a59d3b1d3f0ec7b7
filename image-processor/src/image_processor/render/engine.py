"""Computes the version of the code and the libraries that determine the pixels of a render."""

from functools import cache
from pathlib import Path

from image_processor.services.codec.engine import digest_of, engine_version


@cache
def render_engine() -> str:
    """Return the codec's engine version, followed by a digest of the render package."""
    return f"{engine_version()}; {digest_of([Path(__file__).parent])}"
