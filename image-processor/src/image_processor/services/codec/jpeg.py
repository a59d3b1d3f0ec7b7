"""Reads JPEG segments that may occur several times, of which libvips reads only the first (ISO/IEC 10918-1, B)."""

import struct
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

import pyvips

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_START, _END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
_APP1, _APP13, _SCAN, _END = 0xE1, 0xED, 0xDA, 0xD9
_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)
"""Markers of lossless frames, which cannot be decoded at a reduced size (ISO/IEC 10918-1, B.1.1.3)."""
_HUFFMAN = (0xC0, 0xC1)
"""Markers of sequential frames with Huffman codes. A decoder of arithmetic codes reports no missing pixels."""
_MOST_SEGMENTS = 10_000
_MOST_UNENDED_BYTES = 256 * 1024 * 1024
"""A file without its end marker is copied into memory, at most one of this size."""


def with_all_segments(image: pyvips.Image, source: Path) -> pyvips.Image:
    """Return the image with the file's main XMP packet, at any position, and with all Photoshop resources."""
    if not image.get_typeof("xmp-data") and not image.get_typeof("iptc-data"):
        return image
    with source.open("rb") as file:
        segments = list(_segments(file))
    image = image.copy()
    packets = [content.removeprefix(_XMP) for marker, content in segments if marker == _APP1 and content[:29] == _XMP]
    parts = [content[14:] for marker, content in segments if marker == _APP13 and content[:14] == _PHOTOSHOP]
    for field, value in (("xmp-data", packets[:1]), ("iptc-data", [_PHOTOSHOP + b"".join(parts)] if parts else [])):
        image.remove(field)
        if value:
            image.set_type(pyvips.GValue.blob_type, field, value[0])
    return image


def has_gap_before_pixels(source: Path) -> bool:
    """Return whether a JPEG has bytes other than segments before its first scan; readers skip them."""
    with source.open("rb") as file:
        return any(marker is None for marker, _ in _segments(file))


def is_lossless(source: Path) -> bool:
    """Return whether this is a lossless JPEG. The decoder does not shrink these, so libvips would get only a part."""
    with source.open("rb") as file:
        return any(marker in _LOSSLESS for marker, _ in _segments(file))


def unended(source: Path) -> bytes | None:
    """Return the content of a sequential JPEG of one scan whose end marker is missing, with that marker.

    Return None if the file has the marker, or is too large to be a photograph. Without it, the decoder warns of a
    truncated file even if all pixels are there. With it, the decoder still warns of missing pixels: of those that
    Huffman codes, not of a missing scan.
    """
    with source.open("rb") as file:
        markers = {marker for marker, _ in _segments(file)}
        if _SCAN not in markers or markers.isdisjoint(_HUFFMAN):
            return None
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            # What follows the end marker, such as a video, is often large and not part of the image.
            if len(content) > _MOST_UNENDED_BYTES:
                return None
            if content[-2:] == _END_OF_IMAGE or content.find(_END_OF_IMAGE, file.tell()) >= 0:
                return None
            return content[:] + _END_OF_IMAGE


def _segments(file: BinaryIO) -> Iterator[tuple[int | None, bytes]]:
    """Yield the marker of each segment up to the first scan, with the content of APP1 and APP13.

    At bytes that are not a segment, yield the marker None and stop. At the scan, leave the file within its header.
    """
    if file.read(2) != _START:
        return
    for _ in range(_MOST_SEGMENTS):
        marker = file.read(2)
        while marker == b"\xff\xff":  # fill bytes before a marker
            marker = marker[1:] + file.read(1)
        if marker[:1] != b"\xff":
            yield None, b""
            return
        head = file.read(2)
        if marker[1] == _SCAN:
            yield _SCAN, b""
        if len(head) < 2 or marker[1] in (_SCAN, _END):
            return
        (length,) = struct.unpack(">H", head)
        if marker[1] in (_APP1, _APP13):
            yield marker[1], file.read(max(0, length - 2))
        else:
            file.seek(max(0, length - 2), 1)
            yield marker[1], b""
