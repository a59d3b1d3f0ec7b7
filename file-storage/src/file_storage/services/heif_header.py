"""The size of HEIC and HEIF from the boxes before their pixels (ISO/IEC 14496-12 and 23008-12)."""

import struct
from collections.abc import Iterator
from typing import IO

Size = tuple[int, int]

_MOST_BOXES = 100
_LONGEST_META = 1024 * 1024
"""A telephone's is below 10 KB: some 50 tiles, with two properties each."""

_HEVC = {b"heic", b"heix", b"heim", b"heis"}
_HEVC_SEQUENCE = {b"hevc", b"hevx", b"hevm", b"hevs"}


def heif_type(head: bytes) -> str | None:
    """Return the media type (RFC 9193 and IANA's register) of HEIF with HEVC in it."""
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[start : start + 4] for start in range(16, end, 4))}
    if brands & _HEVC:
        return "image/heic"
    return "image/heic-sequence" if brands & _HEVC_SEQUENCE else None


def heif_size(file: IO[bytes]) -> Size | None:
    """Return the width and height of the primary item, as it is shown.

    :raises struct.error, KeyError, IndexError, StopIteration: the boxes are damaged.
    """
    meta = dict(_boxes(_meta(file)[4:]))
    properties = dict(_boxes(meta[b"iprp"]))
    all_of_them = list(_boxes(properties[b"ipco"]))
    chosen = [all_of_them[index - 1] for index in _associated(properties[b"ipma"], _primary(meta[b"pitm"])) if index]
    width, height = next(struct.unpack(">II", content[4:12]) for name, content in chosen if name == b"ispe")
    for name, content in chosen:
        if name == b"clap":
            width, over, height, under = struct.unpack(">IIII", content[:16])
            width, height = width // over, height // under
        elif name == b"irot" and content[0] & 1:
            width, height = height, width
    return width, height


def _meta(file: IO[bytes]) -> bytes:
    """Return what the box of metadata holds; the pixels may lie before it."""
    place = 0
    for _ in range(_MOST_BOXES):
        file.seek(place)
        head = file.read(16)
        length, name = struct.unpack(">I4s", head[:8])
        header = 16 if length == 1 else 8
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if name == b"meta":
            file.seek(place + header)
            return file.read(min(length - header, _LONGEST_META) if length else _LONGEST_META)
        if length < header:
            break
        place += length
    raise StopIteration


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        if length < 8:
            return
        yield name, content[place + 8 : place + length]
        place += length


def _primary(pitm: bytes) -> int:
    return int.from_bytes(pitm[4:8] if pitm[0] else pitm[4:6], "big")


def _associated(ipma: bytes, item: int) -> list[int]:
    """Return the item's properties, in order, as they are numbered from 1."""
    of_item, of_property = (4 if ipma[0] else 2), (2 if ipma[3] & 1 else 1)
    essential = 1 << (8 * of_property - 1)
    place = 8
    for _ in range(int.from_bytes(ipma[4:8], "big")):
        number = int.from_bytes(ipma[place : place + of_item], "big")
        place += of_item + 1
        end = place + ipma[place - 1] * of_property
        if number == item:
            values = (ipma[start : start + of_property] for start in range(place, end, of_property))
            return [int.from_bytes(value, "big") & (essential - 1) for value in values]
        place = end
    raise KeyError(item)
