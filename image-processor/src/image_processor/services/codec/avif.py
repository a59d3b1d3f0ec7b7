"""The image sequence of an AVIF, of which libvips reads the first frame alone (AVIF 1.1, 3; ISO/IEC 14496-12)."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_MOST_BOXES = 1000
_MOST_BYTES = 4_000_000
"""Of the boxes that describe a sequence."""
_PICTURES = b"pict"


def is_sequence(source: Path) -> bool:
    """Return whether the file's first brand is that of sequences (AVIF 1.1, 7.2), which libvips does not sniff."""
    with source.open("rb") as file:
        return file.read(12)[4:] == b"ftypavis"


def frames_of_sequence(source: Path) -> int:
    """Return how many frames the file's first track of pictures has; 1 where there is none, or no readable one."""
    with source.open("rb") as file:
        movie = next((content for name, content in _top_boxes(file) if name == b"moov"), b"")
    for name, track in _boxes(movie):
        if name != b"trak":
            continue
        media = dict(_boxes(dict(_boxes(track)).get(b"mdia", b"")))
        table = dict(_boxes(dict(_boxes(media.get(b"minf", b""))).get(b"stbl", b"")))
        sizes = table.get(b"stsz", b"")
        if media.get(b"hdlr", b"")[8:12] == _PICTURES and len(sizes) >= 12:
            return max(1, int(struct.unpack_from(">I", sizes, 8)[0]))
    return 1


def _top_boxes(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Give the name and the content of the boxes that tell of a sequence, passing over all others."""
    place = 0
    for _ in range(_MOST_BOXES):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return
        length, start = int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, start = int.from_bytes(head[8:16], "big"), 16
        if head[4:8] == b"moov":
            file.seek(place + start)
            yield head[4:8], file.read(min(max(0, length - start), _MOST_BYTES) if length else _MOST_BYTES)
        if length < start:
            return
        place += length


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        if length < 8:
            return
        yield content[position + 4 : position + 8], content[position + 8 : position + length]
        position += length
