"""Reads AVIF properties that libvips ignores: frames of sequences, premultiplied alpha (AVIF 1.1; ISO/IEC 14496-12)."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_MOST_BOXES = 1000
_MOST_BYTES = 4_000_000
"""Maximum number of bytes read from the box that describes a sequence."""
_PICTURES = b"pict"
_VERSION = 4
"""Length in bytes of the version and flags at the start of some boxes."""


def is_sequence(source: Path) -> bool:
    """Return whether the file's major brand is that of a sequence (AVIF 1.1, 7.2), which libvips does not recognize."""
    with source.open("rb") as file:
        return file.read(12)[4:] == b"ftypavis"


def frames_of_sequence(source: Path) -> int:
    """Return the number of frames in the first picture track; 1 if no picture track can be read."""
    with source.open("rb") as file:
        movie = _top_box(file, b"moov")
    for name, track in _boxes(movie):
        if name != b"trak":
            continue
        media = dict(_boxes(dict(_boxes(track)).get(b"mdia", b"")))
        table = dict(_boxes(dict(_boxes(media.get(b"minf", b""))).get(b"stbl", b"")))
        sizes = table.get(b"stsz", b"")
        if media.get(b"hdlr", b"")[8:12] == _PICTURES and len(sizes) >= 12:
            return max(1, int(struct.unpack_from(">I", sizes, 8)[0]))
    return 1


def has_premultiplied_alpha(source: Path) -> bool:
    """Return whether a picture's colors are multiplied by its alpha (ISO/IEC 23008-12, 6.10.1.1)."""
    with source.open("rb") as file:
        items = _top_box(file, b"meta")
    references = dict(_boxes(items[_VERSION:])).get(b"iref", b"")
    return any(name == b"prem" for name, _ in _boxes(references[_VERSION:]))


def _top_box(file: IO[bytes], wanted: bytes) -> bytes:
    """Return the content of the first box of this type; empty if the file has no such box."""
    place = 0
    for _ in range(_MOST_BOXES):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            break
        length, start = int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, start = int.from_bytes(head[8:16], "big"), 16
        if head[4:8] == wanted:
            file.seek(place + start)
            return file.read(min(max(0, length - start), _MOST_BYTES) if length else _MOST_BYTES)
        if length < start:
            break
        place += length
    return b""


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        if length < 8:
            return
        yield content[position + 4 : position + 8], content[position + 8 : position + length]
        position += length
