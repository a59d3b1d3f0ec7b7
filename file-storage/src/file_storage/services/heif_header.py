"""Read the size of HEIC and HEIF from their boxes, without decoding pixels (ISO/IEC 14496-12 and 23008-12)."""

import struct
from collections.abc import Iterator
from typing import IO

Size = tuple[int, int]

_MAX_BOXES = 100
_MAX_META_BYTES = 1024 * 1024
"""A phone's metadata is below 10 KB: some 50 tiles with two properties each."""

_HEVC = {b"heic", b"heix", b"heim", b"heis"}
_HEVC_SEQUENCE = {b"hevc", b"hevx", b"hevm", b"hevs"}


def heif_type(head: bytes) -> str | None:
    """Return the media type (IANA's registry) of HEIF that contains HEVC."""
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[start : start + 4] for start in range(16, end, 4))}
    if brands & _HEVC:
        return "image/heic"
    return "image/heic-sequence" if brands & _HEVC_SEQUENCE else None


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
            width, height = width // width_divisor, height // height_divisor
        elif name == b"irot" and content[0] & 1:
            width, height = height, width
    return width, height


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
