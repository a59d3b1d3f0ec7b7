"""The version of everything that the pixels of a render depend on, except its plan and its files."""

from functools import cache
from pathlib import Path

from image_processor.services.codec.engine import digest_of, engine_version


@cache
def render_engine() -> str:
    """Return what the codec's engine version says, and a digest of the dialects and their rules."""
    return f"{engine_version()}; {digest_of([Path(__file__).parent])}"
