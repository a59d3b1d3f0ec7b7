"""Reads PNG chunks that libvips does not expose (W3C PNG, third edition)."""

import struct
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

import pyvips

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">I4s")
_CHECKSUM_BYTES = 4
_MOST_CHUNKS = 6000
"""Maximum number of chunks that are read before the pixels, as in the file storage."""
_MOST_CHUNKS_OF_ALL = 200_000
"""Maximum number of chunks that are read: those of 1.6 GB of pixels, if each has the 8 KiB of the usual library."""
_LONGEST = 1000
"""Maximum size in bytes of a returned chunk; the chunks in use are far shorter."""

_EXIF, _TEXTS = b"eXIf", (b"tEXt", b"zTXt", b"iTXt")
_EXIF_MARK = b"Exif\0\0"
"""First bytes of EXIF in a JPEG, which some programs write into a PNG, too; libpng then ignores the chunk."""
_LONGEST_EXIF = 8 * 1024 * 1024
"""Maximum size of EXIF in bytes: that of a chunk in libvips, and of EXIF in the file storage."""
_MOST_BYTES_AFTER_PIXELS = 4_000_000
"""Maximum total size of the metadata chunks after the pixels; longer chunks are skipped."""
_MOST_TEXTS = 20
"""libvips refuses a file with more text chunks."""
_XMP_FIELD, _EXIF_FIELD, _COMMENT = "xmp-data", "exif-data", "png-comment-"
_ORIENTATIONS = ("orientation", "exif-ifd0-Orientation")


class _Chunk(NamedTuple):
    """A chunk's name, and where its data begins and ends."""

    name: bytes
    start: int
    end: int


def chunks_before_pixels(source: Path) -> Mapping[bytes, bytes]:
    """Return the short chunks before the first IDAT by name; the first one if a name repeats."""
    found: dict[bytes, bytes] = {}
    with source.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        for name, start, end in islice(_chunks(content), _MOST_CHUNKS):
            if name == b"IDAT":
                break
            found.setdefault(name, content[start:end] if end - start <= _LONGEST else b"")
    return found


def with_marked_exif(image: pyvips.Image, source: Path) -> pyvips.Image:
    """Return the image with EXIF that begins as in a JPEG, which ExifTool, ImageMagick and Pillow read."""
    block = b"" if image.get_typeof(_EXIF_FIELD) else _marked_exif(source)
    if not block:
        return image
    image = image.copy()
    carrier = _carrier(block)
    for field in carrier.get_fields():
        if field.startswith("exif-") or field in _ORIENTATIONS:
            image.set_type(carrier.get_typeof(field), field, carrier.get(field))
    return image


def _marked_exif(source: Path) -> bytes:
    """Return the first marked EXIF chunk before the pixels without the mark; no bytes without one, or if it is long."""
    with source.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        for name, start, end in islice(_chunks(content), _MOST_CHUNKS):
            if name == b"IDAT":
                break
            if name == _EXIF and content[start : start + len(_EXIF_MARK)] == _EXIF_MARK:
                return _chunk(_EXIF, content[start + len(_EXIF_MARK) : end]) if end - start <= _LONGEST_EXIF else b""
    return b""


def _valid_chunk(content: mmap, start: int, end: int) -> bytes:
    """Return the whole chunk with its data from ``start`` to ``end``; no bytes if its checksum is wrong."""
    chunk = content[start - _HEAD.size : end + _CHECKSUM_BYTES]
    return chunk if chunk[-_CHECKSUM_BYTES:] == _checksum(chunk[4:-_CHECKSUM_BYTES]) else b""


def _unmarked(chunk: bytes) -> bytes:
    data = chunk[_HEAD.size : -_CHECKSUM_BYTES]
    return _chunk(_EXIF, data.removeprefix(_EXIF_MARK)) if data.startswith(_EXIF_MARK) else chunk


def with_metadata_after_pixels(image: pyvips.Image, source: Path) -> pyvips.Image:
    """Return the image with the EXIF, XMP and texts that follow its pixels, where ExifTool writes them.

    Readers decide how to turn an image before they reach its pixels, so an orientation there has no effect.
    """
    late = b"".join(_metadata_after_pixels(source))
    if not late:
        return image
    carrier = _carrier(late)
    image = image.copy()
    comments = sum(field.startswith(_COMMENT) for field in image.get_fields())
    takes_exif, takes_xmp = (not image.get_typeof(field) for field in (_EXIF_FIELD, _XMP_FIELD))
    for field in carrier.get_fields():
        if (field.startswith("exif-") and takes_exif) or (field == _XMP_FIELD and takes_xmp):
            image.set_type(carrier.get_typeof(field), field, carrier.get(field))
        elif field.startswith(_COMMENT):
            number, _, keyword = field.removeprefix(_COMMENT).partition("-")
            numbered = f"{_COMMENT}{comments + int(number)}-{keyword}"
            image.set_type(carrier.get_typeof(field), numbered, carrier.get(field))
    for field in _ORIENTATIONS if takes_exif else ():
        image.remove(field)
    return image


def _metadata_after_pixels(source: Path) -> Iterator[bytes]:
    """Yield the whole chunks with metadata after the first IDAT whose checksum is right."""
    left, texts, has_pixels = _MOST_BYTES_AFTER_PIXELS, 0, False
    with source.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        for name, start, end in islice(_chunks(content), _MOST_CHUNKS_OF_ALL):
            if name == b"IEND":
                break
            has_pixels = has_pixels or name == b"IDAT"
            is_text = name in _TEXTS
            if not has_pixels or not (is_text or name == _EXIF) or end - start > left or texts + is_text > _MOST_TEXTS:
                continue
            chunk = _valid_chunk(content, start, end)
            if chunk:
                left -= end - start
                texts += is_text
                yield chunk if is_text else _unmarked(chunk)


def _carrier(chunks: bytes) -> pyvips.Image:
    """Return an image of one pixel with these chunks, parsed by libvips."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixel = _chunk(b"IDAT", zlib.compress(bytes(2)))
    return pyvips.Image.pngload_buffer(_SIGNATURE + header + chunks + pixel + _chunk(b"IEND", b""))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + _checksum(name + data)


def _checksum(name_and_data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(name_and_data))


def _chunks(content: mmap) -> Iterator[_Chunk]:
    """Yield the chunks of a PNG; none for another file."""
    place = len(_SIGNATURE)
    if content[:place] != _SIGNATURE:
        return
    while place + _HEAD.size <= len(content):
        length, name = _HEAD.unpack_from(content, place)
        start = place + _HEAD.size
        yield _Chunk(name, start, start + length)
        place = start + length + _CHECKSUM_BYTES


def frames_of_animation(source: Path) -> int:
    """Return the number of frames of an APNG; 1 for any other PNG."""
    control = chunks_before_pixels(source).get(b"acTL", b"")
    frames = int(struct.unpack(">I", control[:4])[0]) if len(control) == 8 else 1
    # Ignore a number that the standard does not allow (PNG, third edition, 7.1).
    return frames if 1 <= frames < 2**31 else 1
