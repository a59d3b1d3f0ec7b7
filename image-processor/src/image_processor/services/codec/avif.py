"""Reads AVIF properties that libvips ignores: frames of sequences, premultiplied alpha, colors of the AV1 stream.

(AVIF 1.1; ISO/IEC 14496-12; AV1 Bitstream & Decoding Process Specification.)
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

_MOST_BOXES = 1000
_MOST_BYTES = 4_000_000
"""Maximum number of bytes read from the box that describes a sequence."""
_START_OF_STREAM = 256
"""Number of bytes searched for a sequence header, which takes some 10."""
_SEQUENCE_HEADER, _TEMPORAL_DELIMITER = 1, 2
_HIGH, _PROFESSIONAL = 1, 2
"""Profiles of AV1."""
_LEVELS_WITHOUT_TIER = 7
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


def colors_of_stream(source: Path) -> tuple[int, int] | None:
    """Return the primaries and the transfer function (ITU-T H.273) in the AV1 stream of a still picture.

    :returns: ``None`` if the stream does not describe its colors, or cannot be read.
    """
    with source.open("rb") as file:
        items = dict(_boxes(_top_box(file, b"meta")[_VERSION:]))
        try:
            places = _places(items.get(b"iloc", b""))
            primary = items.get(b"pitm", b"")
            # A grid is an item without a stream; its tiles come before other pictures.
            first = int.from_bytes(primary[4:8] if primary[:1] > b"\0" else primary[4:6], "big")
            for number in sorted(places, key=lambda number: number != first)[:_MOST_BOXES]:
                file.seek(places[number])
                header = _sequence_header(file.read(_START_OF_STREAM))
                if header is not None:
                    return _colors_of_header(_Bits(header))
        except (IndexError, OverflowError, OSError):
            return None
    return None


def _places(iloc: bytes) -> Mapping[int, int]:
    """Return the offset in the file of the first extent of each item (ISO/IEC 14496-12, 8.11.3).

    :raises IndexError: the box is too short.
    """
    read, places = _Bits(iloc), dict[int, int]()
    version = read.next(8)
    read.next(24)
    offset_bits, length_bits, base_bits, index_bits = (8 * read.next(4) for _ in range(4))
    index_bits = index_bits if version else 0
    number_bits = 32 if version > 1 else 16
    for _ in range(min(read.next(number_bits), _MOST_BOXES)):
        number = read.next(number_bits)
        in_file = not version or read.next(16) & 15 == 0
        read.next(16)
        base, extents = read.next(base_bits), read.next(16)
        for extent in range(min(extents, _MOST_BOXES)):
            read.next(index_bits)
            offset = read.next(offset_bits)
            read.next(length_bits)
            if not extent and in_file:
                places[number] = base + offset
    return places


class _Bits:
    """Reads consecutive numbers of any number of bits."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def next(self, bits: int) -> int:
        """Return the next number.

        :raises IndexError: the content has ended.
        """
        start, self._place = self._place, self._place + bits
        end = -(-self._place // 8)
        if end > len(self._content):
            raise IndexError
        number = int.from_bytes(self._content[start // 8 : end], "big") >> (8 * end - self._place)
        return number & ((1 << bits) - 1)


def _sequence_header(stream: bytes) -> bytes | None:
    """Return the sequence header at the start of a stream, after a temporal delimiter (AV1, 5.3 and 7.5)."""
    place = 0
    while place < len(stream):
        head = stream[place]
        kind, has_extension, has_size = head >> 3 & 15, head >> 2 & 1, head >> 1 & 1
        if head >> 7 or not has_size or kind not in (_SEQUENCE_HEADER, _TEMPORAL_DELIMITER):
            return None
        place += 1 + has_extension
        if place >= len(stream) or stream[place] >> 7:  # a header of 128 bytes or more
            return None
        length = stream[place]
        place += 1
        if kind == _SEQUENCE_HEADER:
            return stream[place : place + length]
        place += length
    return None


def _colors_of_header(read: _Bits) -> tuple[int, int] | None:
    """Return the color description (AV1, 5.5.1 and 5.5.2); ``None`` if it is missing, or if there are timings.

    :raises IndexError: the header is too short.
    """
    profile, _, is_reduced = read.next(3), read.next(1), read.next(1)
    if is_reduced:
        read.next(5)
    elif not _skipped_operating_points(read):
        return None
    bits = read.next(4) + 1, read.next(4) + 1
    for side in bits:
        read.next(side)
    if not is_reduced and read.next(1):  # frame_id_numbers_present_flag
        read.next(7)
    read.next(3)
    if not is_reduced:
        _skip_tools(read)
    read.next(3)
    is_deep = read.next(1)
    if profile == _PROFESSIONAL and is_deep:
        read.next(1)
    if profile != _HIGH:
        read.next(1)
    return (read.next(8), read.next(8)) if read.next(1) else None


def _skipped_operating_points(read: _Bits) -> bool:
    """Skip the operating points; return False if there are timings before them."""
    if read.next(1):
        return False
    has_delays = read.next(1)
    for _ in range(read.next(5) + 1):
        read.next(12)
        if read.next(5) > _LEVELS_WITHOUT_TIER:
            read.next(1)
        if has_delays and read.next(1):
            read.next(4)
    return True


def _skip_tools(read: _Bits) -> None:
    """Skip the flags of tools that a header of a single picture lacks."""
    read.next(4)
    has_order = read.next(1)
    read.next(2 * has_order)
    chooses_tools = read.next(1)
    if (chooses_tools or read.next(1)) and not read.next(1):
        read.next(1)
    read.next(3 * has_order)


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
