"""Formats that libvips does not read here: a module each family, loaded with its library at its first image."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from image_processor.imaging.source import Source
from image_processor.services.readers.opened import DamagedError, Opened, reading
from image_processor.services.readers.sniffing import HEAD, reader_of

__all__ = ["KNOWN", "DamagedError", "Opened", "open_foreign"]

KNOWN = ("HEIC", "JPEG XL", "JPEG 2000", "BMP", "ICO", "PSD", "SVG", "PDF")
"""The formats as people call them."""


_DRAWINGS = ("pdf", "svg")
"""The readers of what has no pixels of its own: they are told which are wanted."""


def open_foreign(source: Path, wanted: Source) -> Opened | None:
    """Return the image of a file whose format has a reader, its header read and no pixel decoded yet.

    :raises DamagedError: the header cannot be read.
    """
    with source.open("rb") as file:
        name = reader_of(file.read(HEAD))
    if name is None:
        return None
    open_image: Callable[..., Opened] = import_module(f"{__name__}.{name}").open_image
    with reading():
        return open_image(source, wanted) if name in _DRAWINGS else open_image(source)
