"""Reads when an image was taken from its EXIF: DateTimeOriginal and OffsetTimeOriginal (Exif 2.32, 4.6.6)."""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from typing import IO

from file_storage.services.media.heif_header import heif_exif

_ORDERS = {b"II": "<", b"MM": ">"}
_BIG_TIFF = 43
_EXIF_DIRECTORY, _TAKEN, _OFFSET = 0x8769, 0x9003, 0x9011
_ASCII = 2
_MAX_ENTRIES = 4096
_MAX_PARTS = 4096
"""Maximum number of JPEG segments, or PNG or WebP chunks, to examine."""
_MAX_EXIF_BYTES = 1024 * 1024
_EXIF_MARK = b"Exif\0\0"
_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
_ZONE = re.compile(r"([+-])(\d\d):(\d\d)")
_FIRST_PHOTOGRAPH = 1826

_START_OF_SCAN, _APP1 = 0xDA, 0xE1
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}


def taken_at(media_type: str, file: IO[bytes]) -> float | None:
    """Return when an image was taken, in seconds since 1970; ``None`` if its header has no date.

    Without a time zone, the camera's time is interpreted as UTC.
    """
    find = _FINDERS.get(media_type)
    if find is None:
        return None
    file.seek(0)
    try:
        exif = find(file)
        return None if exif is None else _date_in(exif)
    except Exception:  # noqa: BLE001 (a hostile header may raise any error, and must not fail the upload)
        return None


def _date_in(exif: IO[bytes]) -> float | None:
    texts = _texts(exif)
    date = _DATE.match(texts.get(_TAKEN, ""))
    if date is None or int(date[1]) < _FIRST_PHOTOGRAPH:
        return None
    year, month, day, hour, minute, second = map(int, date.groups())
    zone = _ZONE.match(texts.get(_OFFSET, ""))
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return (moment if zone is None else moment.replace(tzinfo=_zone(zone))).timestamp()


def _zone(text: re.Match[str]) -> timezone:
    offset = timedelta(hours=int(text[2]), minutes=int(text[3]))
    return timezone(-offset if text[1] == "-" else offset)


def _texts(exif: IO[bytes]) -> Mapping[int, str]:
    """Return the texts in the EXIF directory of a TIFF by tag."""
    header = exif.read(16)
    order = _ORDERS[header[:2]]
    is_big = struct.unpack_from(order + "H", header, 2)[0] == _BIG_TIFF
    number = struct.Struct(order + ("Q" if is_big else "I"))
    (first,) = number.unpack_from(header, 8 if is_big else 4)
    pointers = {tag: value for tag, _, _, value in _entries(exif, first, order, number, is_big=is_big)}
    found = {}
    for tag, kind, length, value in _entries(
        exif, number.unpack(pointers[_EXIF_DIRECTORY].ljust(number.size, b"\0"))[0], order, number, is_big=is_big
    ):
        if tag in (_TAKEN, _OFFSET) and kind == _ASCII and length < 100:
            text = value[:length]
            if length > number.size:
                exif.seek(number.unpack(value)[0])
                text = exif.read(length)
            found[tag] = text.decode("ascii")
    return found


def _entries(
    exif: IO[bytes], offset: int, order: str, number: struct.Struct, *, is_big: bool
) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield tag, type, length and value of each entry of a directory."""
    counted = struct.Struct(order + ("Q" if is_big else "H"))
    entry = struct.Struct(f"{order}HH{'Q' if is_big else 'I'}{number.size}s")
    exif.seek(offset)
    (count,) = counted.unpack(exif.read(counted.size))
    yield from entry.iter_unpack(exif.read(entry.size * min(count, _MAX_ENTRIES)))


def _in_jpeg(file: IO[bytes]) -> IO[bytes] | None:
    file.seek(2)
    for _ in range(_MAX_PARTS):
        mark, kind = file.read(2)
        while kind == 0xFF:
            [kind] = file.read(1)
        if mark != 0xFF or kind == _START_OF_SCAN:
            return None
        if kind in _WITHOUT_LENGTH:
            continue
        length = int.from_bytes(file.read(2), "big") - 2
        if kind == _APP1:
            content = file.read(length)
            if content.startswith(_EXIF_MARK):
                return BytesIO(content[len(_EXIF_MARK) :])
        else:
            file.seek(length, 1)
    return None


def _in_png(file: IO[bytes]) -> IO[bytes] | None:
    file.seek(8)
    for _ in range(_MAX_PARTS):
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"eXIf":
            return _unmarked(file.read(min(length, _MAX_EXIF_BYTES)))
        file.seek(length + 4, 1)
    return None


def _in_webp(file: IO[bytes]) -> IO[bytes] | None:
    file.seek(12)
    for _ in range(_MAX_PARTS):
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind == b"EXIF":
            return _unmarked(file.read(min(length, _MAX_EXIF_BYTES)))
        file.seek(length + length % 2, 1)
    return None


def _unmarked(chunk: bytes) -> IO[bytes]:
    """Return the EXIF in a chunk, which some programs start with the mark of a JPEG segment."""
    return BytesIO(chunk.removeprefix(_EXIF_MARK))


def _in_heif(file: IO[bytes]) -> IO[bytes] | None:
    exif = heif_exif(file)
    return None if exif is None else BytesIO(exif)


_FINDERS: Mapping[str, Callable[[IO[bytes]], IO[bytes] | None]] = {
    "image/jpeg": _in_jpeg,
    "image/png": _in_png,
    "image/webp": _in_webp,
    "image/tiff": lambda file: file,
    "image/heic": _in_heif,
    "image/heif": _in_heif,
    "image/avif": _in_heif,
}
