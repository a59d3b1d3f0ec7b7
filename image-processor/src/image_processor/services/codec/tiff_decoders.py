"""Finds the compressions of a TIFF that libtiff cannot decode; they depend on how it was built."""

import re
import struct
from functools import lru_cache

import pyvips

from image_processor.services.codec import tiff

_MISSING = re.compile(r"compression support is not configured|decoding is not implemented")
"""Parts of libtiff's messages about a compression; other messages concern the invalid pixel."""
_ROW = struct.Struct("<HHII")
_PIXEL_PLACE, _DIRECTORY_PLACE = 8, 12
_PIXEL = {
    tiff.WIDTH: 1,
    tiff.HEIGHT: 1,
    tiff.BITS: 8,
    tiff.COMPRESSION: 1,
    tiff.PHOTOMETRIC: 1,
    tiff.STRIP_PLACES: _PIXEL_PLACE,
    tiff.SAMPLES: 1,
    tiff.STRIP_ROWS: 1,
    tiff.STRIP_LENGTHS: 1,
}
_SHORT, _LONG = 3, 4
_GREATEST = 0xFFFF
"""libtiff reads the number of a compression in 16 bits."""


def is_decodable(directory: tiff.Directory) -> bool:
    """Return whether libtiff has a decoder for the compression of this page."""
    compression = directory.number(tiff.COMPRESSION) or 1
    return compression <= _GREATEST and _has_decoder(compression)


@lru_cache(maxsize=256)
def _has_decoder(compression: int) -> bool:
    pyvips.Error("")  # clears libvips' log, which may contain messages about another page
    try:
        pyvips.Image.tiffload_buffer(_pixel_with(compression), fail_on="error").copy_memory()
    except pyvips.Error as error:
        return not _MISSING.search(error.detail)
    return True


def _pixel_with(compression: int) -> bytes:
    rows = [
        _ROW.pack(tag, _LONG if tag == tiff.STRIP_PLACES else _SHORT, 1, value)
        for tag, value in {**_PIXEL, tiff.COMPRESSION: compression}.items()
    ]
    head = struct.pack("<2sHI", b"II", 42, _DIRECTORY_PLACE).ljust(_DIRECTORY_PLACE, b"\0")
    return head + struct.pack("<H", len(rows)) + b"".join(rows) + bytes(4)
