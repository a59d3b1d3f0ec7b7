"""Readers for formats that libvips does not read: one module per family, imported with its library at first use."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from image_processor.imaging.source import Source
from image_processor.services.readers.opened import DamagedError, Opened, reading
from image_processor.services.readers.sniffing import HEAD, reader_of

__all__ = ["KNOWN", "DamagedError", "Opened", "open_foreign"]

KNOWN = ("HEIC", "JPEG XL", "JPEG 2000", "BMP", "ICO", "PSD", "SVG", "PDF")
"""Format names for users."""

_BY_REQUEST = ("heif", "pdf", "svg")
"""Readers that take the requested page or resolution."""


def open_foreign(source: Path, wanted: Source) -> Opened | None:
    """Return the image with its header read and no pixels decoded, if its format has a reader here; else None.

    :raises DamagedError: the header cannot be read.
    """
    with source.open("rb") as file:
        name = reader_of(file.read(HEAD))
    if name is None:
        return None
    open_image: Callable[..., Opened] = import_module(f"{__name__}.{name}").open_image
    with reading():
        return open_image(source, wanted) if name in _BY_REQUEST else open_image(source)
