"""Reduces a PNG to the chunks that determine its displayed size: Pillow refuses long texts and wrong checksums."""

import struct
import zlib
from typing import IO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">I4s")
_HEADER, _EXIF, _PIXELS = b"IHDR", b"eXIf", b"IDAT"
_CHECKSUM_BYTES = 4
_MAX_CHUNKS = 10_000
_MAX_EXIF_BYTES = 1024 * 1024


def bare_png(file: IO[bytes]) -> bytes:
    """Return the PNG's header and the EXIF before its pixels, with no pixels."""
    found = {_HEADER: b"", _EXIF: b"", _PIXELS: b""}
    file.seek(len(SIGNATURE))
    for _ in range(_MAX_CHUNKS):
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            break
        length, name = _HEAD.unpack(head)
        if name == _PIXELS:
            found[name] = _HEAD.pack(0, name) + _checksum(name)
            break
        if found.get(name) != b"" or length > _MAX_EXIF_BYTES:
            file.seek(length + _CHECKSUM_BYTES, 1)
            continue
        rest = file.read(length + _CHECKSUM_BYTES)
        # The image processor reads EXIF with a wrong checksum, but not a header.
        found[name] = head + (rest if name == _HEADER else rest[:length] + _checksum(name + rest[:length]))
    return SIGNATURE + b"".join(found.values())


def _checksum(name_and_data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(name_and_data))
