"""Reduces a PNG to the chunks that determine its displayed size: Pillow refuses long texts and wrong checksums."""

import struct
import zlib
from typing import IO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">I4s")
_HEADER, _EXIF, _PIXELS = b"IHDR", b"eXIf", b"IDAT"
_CHECKSUM_BYTES = 4
_PLAIN, _MARKED = (b"II*\0", b"MM\0*"), b"Exif\0\0"
"""First bytes of EXIF, and of EXIF that begins as in a JPEG."""
_MAX_START_BYTES = len(_MARKED)
_MAX_CHUNKS = 6000
_MAX_EXIF_BYTES = 8 * 1024 * 1024
"""The limits of the image processor, which with another EXIF would turn the image differently."""


def bare_png(file: IO[bytes]) -> bytes:
    """Return the PNG's header and the EXIF before its pixels, with no pixels.

    EXIF is the first plain chunk, as in libpng, or else the first marked one, even if it is too long to be read.
    """
    header = pixels = b""
    places: dict[bool, tuple[int, int]] = {}
    place = len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        file.seek(place)
        head = file.read(_HEAD.size + _MAX_START_BYTES)
        if len(head) < _HEAD.size:
            break
        length, name = _HEAD.unpack_from(head)
        start = place + _HEAD.size
        first, place = head[_HEAD.size :][:length], start + length + _CHECKSUM_BYTES
        if name == _PIXELS:
            pixels = _chunk(name, b"")
            break
        if name == _HEADER and not header and length <= _MAX_EXIF_BYTES:
            file.seek(start)
            header = head[: _HEAD.size] + file.read(length + _CHECKSUM_BYTES)
        elif name == _EXIF and first.startswith((*_PLAIN, _MARKED)):
            places.setdefault(first.startswith(_PLAIN), (start, length))
    start, length = places.get(True) or places.get(False) or (0, 0)
    if not length or length > _MAX_EXIF_BYTES:
        return SIGNATURE + header + pixels
    file.seek(start)
    # The image processor reads EXIF with a wrong checksum, but not a header.
    return SIGNATURE + header + _chunk(_EXIF, file.read(length)) + pixels


def _chunk(name: bytes, data: bytes) -> bytes:
    return _HEAD.pack(len(data), name) + data + struct.pack(">I", zlib.crc32(name + data))
