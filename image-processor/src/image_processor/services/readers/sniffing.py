"""Chooses a reader by the first bytes of a file."""

import codecs
import re
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress

HEAD = 64 * 1024
"""Number of bytes to examine: drawing programs write long comments before the root of an SVG."""
_ANY_GZIP = 31
"""zlib's ``wbits`` for the largest window and a gzip header."""
_BINARY_HEAD = 4096
_GZIP = b"\x1f\x8b"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_HEVC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AV1 = {b"avif", b"avis"}
_ANY_CODEC = {b"mif1", b"mif2", b"msf1"}
"""Brands of a file type box (ISO/IEC 23008-12, 10) that allow any codec; only the items name it."""

_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_BOM = codecs.BOM_UTF8
_BEFORE_ROOT = re.compile(
    rb"\s+|<\?[^>]*>|<!--.*?-->|<!doctype\s+svg(?:[^\[>]*\[[^\]]*\])?[^>]*>", re.IGNORECASE | re.DOTALL
)
_ROOT = re.compile(rb"<(?:\w+:)?svg[\s>/]", re.IGNORECASE)


def reader_of(head: bytes) -> str | None:
    """Return the name of the reader's module; ``None`` leaves the file to libvips."""
    short = head[:_BINARY_HEAD]
    return next((name for is_format, name in _READERS if is_format(short)), "svg" if is_svg(head) else None)


def is_heif(head: bytes) -> bool:
    """Return whether this is HEIF with HEVC; AVIF has the same box format, and libvips reads it."""
    if head[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[start : start + 4] for start in range(16, end, 4))}
    if brands & _HEVC:
        return head[8:12] not in _AV1
    return bool(brands & _ANY_CODEC) and not brands & _AV1 and b"av01" not in head


def is_svg(head: bytes) -> bool:
    """Return whether the first element, after any declarations and comments, is ``svg``.

    The text may be UTF-16 with a byte order mark, and compressed (SVG 2, 10.2).
    """
    if head.startswith(_GZIP):
        with suppress(zlib.error):
            head = zlib.decompressobj(_ANY_GZIP).decompress(head, HEAD)
    if head.startswith(_UTF_16):
        head = head.decode("utf-16", "ignore").encode()
    position = len(_BOM) if head.startswith(_BOM) else 0
    # Match one part at a time: a pattern of all parts would backtrack, and possessive groups are wrong before Python
    # 3.11.5.
    while part := _BEFORE_ROOT.match(head, position):
        position = part.end()
    return _ROOT.match(head, position) is not None


def uncompressed(content: bytes, longest: int) -> bytes:
    """Return the bytes of an SVG; decompress at most ``longest`` + 1, enough to detect that it is too long.

    :raises zlib.error: the compressed bytes are damaged.
    """
    if not content.startswith(_GZIP):
        return content
    return zlib.decompressobj(_ANY_GZIP).decompress(content, longest + 1)


def is_bmp(head: bytes) -> bool:
    """Return whether a bitmap header of a known size follows "BM", which may also start a text."""
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def begins_with(*beginnings: bytes) -> Callable[[bytes], bool]:
    """Return a predicate that checks for these first bytes."""
    return lambda head: head.startswith(beginnings)


_READERS: Sequence[tuple[Callable[[bytes], bool], str]] = (
    (is_heif, "heif"),
    (begins_with(b"%PDF-"), "pdf"),
    (is_bmp, "raster"),
    (begins_with(b"8BPS\0\1", b"8BPS\0\2"), "psd"),
    (begins_with(b"\0\0\1\0"), "icon"),
    (begins_with(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"), "jpeg2000"),
    (begins_with(b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a"), "jpegxl"),
)
