"""Reads the size of a TIFF or BigTIFF from the tags of its pages (TIFF 6.0), regardless of its pixel format."""

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import IO

Size = tuple[int, int]

_ORDERS = {b"II": "<", b"MM": ">"}
_BIG_TIFF = 43
_VERSIONS = (42, _BIG_TIFF)
_SUBFILE_TYPE, _WIDTH, _HEIGHT, _ORIENTATION = 254, 256, 257, 274
_NOT_A_PAGE = 1 | 4
"""Bits of NewSubfileType: a reduced copy of a page, which scanners and raw files put first, and a mask."""
_ROTATED = (5, 6, 7, 8)
_MAX_DIRECTORIES = 4096
_MAX_ENTRIES = 4096
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""The integer types of TIFF, with their formats for :mod:`struct`."""


def tiff_size(file: IO[bytes]) -> Size | None:
    """Return the width and height of the first page as displayed; ``None`` if the file is damaged or not a TIFF."""
    sizes: list[Size] = []
    with suppress(struct.error, KeyError, OverflowError, OSError, ValueError):
        for tags in _directories(file):
            size = tags[_WIDTH], tags[_HEIGHT]
            sizes.append(size[::-1] if tags.get(_ORIENTATION) in _ROTATED else size)
            if not tags.get(_SUBFILE_TYPE, 0) & _NOT_A_PAGE:
                return sizes[-1]
    # Without a real page, the first directory counts as a page.
    return sizes[0] if sizes else None


def _directories(file: IO[bytes]) -> Iterator[Mapping[int, int]]:
    """Yield the integers in each directory; skip lists, which are stored outside the directory."""
    header = file.read(16)
    order = _ORDERS[header[:2]]
    (version,) = struct.unpack_from(order + "H", header, 2)
    if version not in _VERSIONS:
        raise ValueError(version)
    count_type, offset_type, first = ("Q", "Q", 8) if version == _BIG_TIFF else ("H", "I", 4)
    count_format, offset_format = struct.Struct(order + count_type), struct.Struct(order + offset_type)
    entry_format = struct.Struct(f"{order}HH{offset_type}{offset_format.size}s")
    (offset,) = offset_format.unpack_from(header, first)
    seen = set[int]()
    while offset and offset not in seen and len(seen) < _MAX_DIRECTORIES:
        seen.add(offset)
        file.seek(offset)
        (count,) = count_format.unpack(file.read(count_format.size))
        if count > _MAX_ENTRIES:
            raise ValueError(count)
        entries = entry_format.iter_unpack(file.read(entry_format.size * count))
        (offset,) = offset_format.unpack(file.read(offset_format.size).ljust(offset_format.size, b"\0"))
        yield {
            tag: struct.unpack_from(order + _INTEGERS[type_], value)[0]
            for tag, type_, number, value in entries
            if number == 1 and type_ in _INTEGERS and struct.calcsize(_INTEGERS[type_]) <= len(value)
        }
