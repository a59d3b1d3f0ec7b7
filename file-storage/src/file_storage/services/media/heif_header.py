"""Reads the size of HEIC, HEIF and AVIF from their boxes, without decoding pixels (ISO/IEC 14496-12 and 23008-12)."""

import struct
from collections.abc import Iterator
from typing import IO

Size = tuple[int, int]

_MAX_BOXES = 100
_MAX_META_BYTES = 1024 * 1024
"""A phone's metadata takes less than 10 KB: some 50 tiles with two properties each."""

_HEVC = {b"heic", b"heix", b"heim", b"heis"}
_HEVC_SEQUENCE = {b"hevc", b"hevx", b"hevm", b"hevs"}
_AV1 = {b"avif", b"avis"}
_ANY_CODEC = {b"mif1", b"mif2", b"msf1"}
"""Brands of a file type box (ISO/IEC 23008-12, 10) that allow any codec; only the items name it."""


def heif_type(head: bytes) -> str | None:
    """Return the media type (IANA's registry) of HEIF that contains HEVC, by the rule of the image processor."""
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[start : start + 4] for start in range(16, end, 4))}
    if brands & (_HEVC | _HEVC_SEQUENCE):
        still = "image/heic" if brands & _HEVC else "image/heic-sequence"
        return None if head[8:12] in _AV1 else still
    return "image/heif" if brands & _ANY_CODEC and not brands & _AV1 and b"av01" not in head else None


def heif_size(file: IO[bytes]) -> Size | None:
    """Return the width and height of the primary item as displayed.

    :raises struct.error, KeyError, IndexError, StopIteration: the boxes are damaged.
    """
    meta = dict(_boxes(_meta(file)[4:]))
    properties = dict(_boxes(meta[b"iprp"]))
    all_properties = list(_boxes(properties[b"ipco"]))
    indexes = _property_indexes(properties[b"ipma"], _primary_item(meta[b"pitm"]))
    primary = [all_properties[index - 1] for index in indexes if index]
    width, height = next(struct.unpack(">II", content[4:12]) for name, content in primary if name == b"ispe")
    for name, content in primary:
        if name == b"clap":
            width, width_divisor, height, height_divisor = struct.unpack(">IIII", content[:16])
            # Rounded as in libheif, a half up.
            width = (width + width_divisor // 2) // width_divisor
            height = (height + height_divisor // 2) // height_divisor
        elif name == b"irot" and content[0] & 1:
            width, height = height, width
    return width, height


def heif_exif(file: IO[bytes]) -> bytes | None:
    """Return the EXIF of HEIC, HEIF or AVIF as a TIFF; ``None`` without EXIF.

    :raises struct.error, KeyError, IndexError, StopIteration: the boxes are damaged.
    """
    meta = dict(_boxes(_meta(file)[4:]))
    item = _exif_item(meta[b"iinf"])
    if item is None:
        return None
    offset, length = _place(meta[b"iloc"], item)
    file.seek(offset)
    content = file.read(min(length, _MAX_META_BYTES))
    # The first four bytes are the length of a prefix before the TIFF, such as "Exif" and two zeros.
    return content[4 + int.from_bytes(content[:4], "big") :]


def _exif_item(iinf: bytes) -> int | None:
    """Return the number of the item with the type ``Exif``."""
    for name, content in _boxes(iinf[6:] if iinf[0] == 0 else iinf[8:]):
        version = content[0]
        wide = 4 if version > 2 else 2
        if name == b"infe" and content[6 + wide : 10 + wide] == b"Exif":
            return int.from_bytes(content[4 : 4 + wide], "big")
    return None


def _place(iloc: bytes, item: int) -> tuple[int, int]:
    """Return the offset in the file and the length of an item that is stored in one extent.

    :raises KeyError: there is no such item.
    """
    version, sizes = iloc[0], int.from_bytes(iloc[4:6], "big")
    offset_bytes, length_bytes, base_bytes, index_bytes = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    number_bytes = 4 if version > 1 else 2
    read = _Numbers(iloc, 6)
    for _ in range(read.next(number_bytes)):
        number = read.next(number_bytes)
        method = read.next(2) & 15 if version else 0
        read.next(2)
        base = read.next(base_bytes)
        count = read.next(2)
        if number == item and method == 0 and count == 1:
            read.next(index_bytes if version else 0)
            return base + read.next(offset_bytes), read.next(length_bytes)
        # Skip all extents at once: a hostile item may have 65,535 extents that take no bytes.
        read.next(count * ((index_bytes if version else 0) + offset_bytes + length_bytes))
    raise KeyError(item)


class _Numbers:
    """Reads consecutive numbers of any length."""

    def __init__(self, content: bytes, offset: int) -> None:
        self._content = content
        self._offset = offset

    def next(self, length: int) -> int:
        """Return the next number of this many bytes.

        :raises IndexError: the content has ended.
        """
        self._offset += length
        if self._offset > len(self._content):
            raise IndexError
        return int.from_bytes(self._content[self._offset - length : self._offset], "big")


def _meta(file: IO[bytes]) -> bytes:
    """Return the content of the metadata box, which may come after the pixels."""
    offset = 0
    for _ in range(_MAX_BOXES):
        file.seek(offset)
        head = file.read(16)
        length, name = struct.unpack(">I4s", head[:8])
        header = 16 if length == 1 else 8
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if name == b"meta":
            file.seek(offset + header)
            return file.read(min(length - header, _MAX_META_BYTES) if length else _MAX_META_BYTES)
        if length < header:
            break
        offset += length
    raise StopIteration


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 0
    while offset + 8 <= len(content):
        length, name = struct.unpack(">I4s", content[offset : offset + 8])
        if length < 8:
            return
        yield name, content[offset + 8 : offset + length]
        offset += length


def _primary_item(pitm: bytes) -> int:
    return int.from_bytes(pitm[4:8] if pitm[0] else pitm[4:6], "big")


def _property_indexes(ipma: bytes, item: int) -> list[int]:
    """Return the indexes of the item's properties, in order, counted from 1."""
    item_bytes, index_bytes = (4 if ipma[0] else 2), (2 if ipma[3] & 1 else 1)
    essential_bit = 1 << (8 * index_bytes - 1)
    offset = 8
    for _ in range(int.from_bytes(ipma[4:8], "big")):
        number = int.from_bytes(ipma[offset : offset + item_bytes], "big")
        offset += item_bytes + 1
        end = offset + ipma[offset - 1] * index_bytes
        if number == item:
            values = (ipma[start : start + index_bytes] for start in range(offset, end, index_bytes))
            return [int.from_bytes(value, "big") & (essential_bit - 1) for value in values]
        offset = end
    raise KeyError(item)
