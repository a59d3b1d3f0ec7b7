"""The size of a TIFF or BigTIFF from the tags of its pages (TIFF 6.0), whatever kind of pixels it has."""

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import IO

Size = tuple[int, int]

_ORDERS = {b"II": "<", b"MM": ">"}
_BIG = 43
_VERSIONS = (42, _BIG)
_SUBFILE_TYPE, _WIDTH, _HEIGHT, _ORIENTATION = 254, 256, 257, 274
_NO_PAGE = 1 | 4
"""Bits of NewSubfileType: a smaller copy of a page, as scanners and raw files put first, and a page's mask."""
_TURNED = (5, 6, 7, 8)
_MOST_DIRECTORIES = 4096
_MOST_ENTRIES = 4096
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""By the types of TIFF."""


def tiff_size(file: IO[bytes]) -> Size | None:
    """Return the width and height of the first page as it is shown; ``None`` where the file is no TIFF, or damaged."""
    sizes: list[Size] = []
    with suppress(struct.error, KeyError, OverflowError, OSError, ValueError):
        for tags in _directories(file):
            size = tags[_WIDTH], tags[_HEIGHT]
            sizes.append(size[::-1] if tags.get(_ORIENTATION) in _TURNED else size)
            if not tags.get(_SUBFILE_TYPE, 0) & _NO_PAGE:
                return sizes[-1]
    # Where none is a page of its own, the first counts as one.
    return sizes[0] if sizes else None


def _directories(file: IO[bytes]) -> Iterator[Mapping[int, int]]:
    """Give the whole numbers that stand in each directory itself: of a list in another place, none."""
    head = file.read(16)
    order = _ORDERS[head[:2]]
    (version,) = struct.unpack_from(order + "H", head, 2)
    if version not in _VERSIONS:
        raise ValueError(version)
    counted, placed, first = ("Q", "Q", 8) if version == _BIG else ("H", "I", 4)
    count_of, place_of = struct.Struct(order + counted), struct.Struct(order + placed)
    row = struct.Struct(f"{order}HH{placed}{place_of.size}s")
    (place,) = place_of.unpack_from(head, first)
    seen = set[int]()
    while place and place not in seen and len(seen) < _MOST_DIRECTORIES:
        seen.add(place)
        file.seek(place)
        (count,) = count_of.unpack(file.read(count_of.size))
        if count > _MOST_ENTRIES:
            raise ValueError(count)
        rows = row.iter_unpack(file.read(row.size * count))
        (place,) = place_of.unpack(file.read(place_of.size).ljust(place_of.size, b"\0"))
        yield {
            tag: struct.unpack_from(order + _INTEGERS[kind], value)[0]
            for tag, kind, number, value in rows
            if number == 1 and kind in _INTEGERS and struct.calcsize(_INTEGERS[kind]) <= len(value)
        }
