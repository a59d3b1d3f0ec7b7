"""Corrects tag values because of which libvips refuses a TIFF, although its pixels are readable."""

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from mmap import ACCESS_COPY, mmap
from pathlib import Path

import pyvips

from image_processor.services.codec import tiff

_UPRIGHT = 1
_Change = tuple[int, bytes]
"""An offset in the file, and the bytes that replace those there."""


def open_mended(source: Path, **options: object) -> pyvips.Image | None:
    """Return the TIFF with such values corrected in memory, not in the file; None if nothing is to be corrected.

    8-bit CIELAB, which libvips mistakes for a packed format of its own, is marked as ICCLAB, which libvips does not
    interpret. An invalid Orientation is replaced by that of an upright image, as in other readers.
    """
    status = source.stat()
    changes = _changes(source, status.st_size, status.st_mtime_ns)
    if not changes:
        return None
    with source.open("rb") as file:
        content = mmap(file.fileno(), 0, access=ACCESS_COPY)
    for place, value in changes:
        content[place : place + len(value)] = value
    return pyvips.Image.new_from_source(pyvips.Source.new_from_memory(content), "", **options)


@lru_cache(maxsize=1)  # a file is opened once for each page
def _changes(source: Path, size: int, modified: int) -> Sequence[_Change]:  # noqa: ARG001 (they identify the content)
    return [change for page in tiff.directories(source) for change in _changes_of(page)]


def _changes_of(page: tiff.Directory) -> Iterator[_Change]:
    if page.number(tiff.PHOTOMETRIC) == tiff.CIELAB and page.is_8_bit:
        yield _change(page, tiff.PHOTOMETRIC, tiff.ICCLAB)
    orientation = page.number(tiff.ORIENTATION)
    if orientation is not None and not 1 <= orientation <= 8:
        yield _change(page, tiff.ORIENTATION, _UPRIGHT)


def _change(page: tiff.Directory, tag: int, value: int) -> _Change:
    entry = page.entries[tag]
    return entry.place, struct.pack(f"{page.order}{tiff.INTEGERS[entry.kind]}", value)
