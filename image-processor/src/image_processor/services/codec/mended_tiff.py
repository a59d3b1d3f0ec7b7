"""Corrects tag values because of which libvips refuses a TIFF, although its pixels are readable."""

import errno
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from mmap import ACCESS_COPY, mmap
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

import pyvips

from image_processor.services.codec import tiff
from image_processor.services.codec.tiff_decoders import is_decodable

_UPRIGHT = 1
_DEFLATE = 8


class _Change(NamedTuple):
    """Bytes that replace those at an offset in the file.

    :param other_than: the page, from 0, without which the change is made: it is only for reading others.
    """

    place: int
    value: bytes
    other_than: int | None = None


class _Version(NamedTuple):
    """A file and what identifies its content: another file may have the same path a moment later."""

    path: Path
    inode: int
    size: int
    modified: int


_mended: WeakValueDictionary[tuple[_Version, Sequence[_Change]], mmap] = WeakValueDictionary()
"""Corrected files in use, by the corrections. The images of a file's pages share one, which counts as the process's
memory in full."""


def open_mended(source: Path, **options: str | int) -> pyvips.Image | None:
    """Return the TIFF with such values corrected in memory, not in the file; None if nothing is to be corrected.

    8-bit CIELAB, which libvips mistakes for a packed format of its own, is marked as ICCLAB, which libvips does not
    interpret. So is 16-bit CIELAB in separate planes, whose rows libvips mixes up; for the same reason, gray with other
    bands in separate planes is marked as RGB. An invalid Orientation is replaced by that of an upright image, as in
    other readers. Pages that are not read are marked as Deflate if libtiff cannot decode their compression, because
    libvips would refuse the pages that are read.

    :param options: those of the loader; ``page`` and ``n`` are the pages to read, by default the first.
    :raises MemoryError: the process may not use as much memory as the file has bytes.
    """
    status = source.stat()
    version = _Version(source, status.st_ino, status.st_size, status.st_mtime_ns)
    first = int(options.get("page", 0))
    read = range(first, first + int(options.get("n", 1)))
    changes = tuple(change for change in _changes(version) if change.other_than not in read)
    if not changes:
        return None
    content = _mended.get((version, changes))
    if content is None:
        content = _mended[version, changes] = _changed(source, changes)
    return pyvips.Image.new_from_source(pyvips.Source.new_from_memory(content), "", **options)


def _changed(source: Path, changes: Sequence[_Change]) -> mmap:
    with source.open("rb") as file:
        try:
            content = mmap(file.fileno(), 0, access=ACCESS_COPY)
        except OSError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError(os.strerror(errno.ENOMEM)) from error
            raise
    for place, value, _ in changes:
        content[place : place + len(value)] = value
    return content


@lru_cache(maxsize=1)  # a file is opened once for each page
def _changes(version: _Version) -> Sequence[_Change]:
    pages = tiff.directories(version.path)
    changes = [change for page in pages for change in _changes_of(page)]
    if len(pages) == 1:
        return changes
    unread = (number for number, page in enumerate(pages) if not is_decodable(page))
    return [*changes, *(_change(pages[number], tiff.COMPRESSION, _DEFLATE, number) for number in unread)]


def _changes_of(page: tiff.Directory) -> Iterator[_Change]:
    if page.number(tiff.PHOTOMETRIC) == tiff.CIELAB and (page.is_8_bit or (page.is_in_planes and page.depths == {16})):
        yield _change(page, tiff.PHOTOMETRIC, tiff.ICCLAB)
    if page.is_gray_in_planes:
        yield _change(page, tiff.PHOTOMETRIC, tiff.RGB)
    orientation = page.number(tiff.ORIENTATION)
    if orientation is not None and not 1 <= orientation <= 8:
        yield _change(page, tiff.ORIENTATION, _UPRIGHT)


def _change(page: tiff.Directory, tag: int, value: int, other_than: int | None = None) -> _Change:
    return _Change(page.entries[tag].place, page.row(tag, value), other_than)
