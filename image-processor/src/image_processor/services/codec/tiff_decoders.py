"""Finds the compressions of a TIFF that libtiff cannot decode; they depend on how it was built."""

import re
import struct
from functools import cache

import pyvips

from image_processor.services.codec import complaints, tiff

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
_KNOWN = frozenset(
    {
        *(1, 2, 3, 4, 5, 6, 7, 8, 32766, 32771, 32773, 32809, 32909, 32946, 34661, 34676, 34677, 34887, 34925),
        *(50000, 50001),
        *(33003, 33004, 33005, 34712),
    }
)
"""Compressions for which libtiff (tif_codec.c) or, in the last line, libvips has a decoder in some builds.

Only these are tried: a file may have thousands of other numbers.
"""


def is_decodable(directory: tiff.Directory) -> bool:
    """Return whether libtiff has a decoder for the compression of this page."""
    compression = directory.number(tiff.COMPRESSION) or 1
    return compression in _KNOWN and _has_decoder(compression)


@cache
def _has_decoder(compression: int) -> bool:
    with complaints.unheard():
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
