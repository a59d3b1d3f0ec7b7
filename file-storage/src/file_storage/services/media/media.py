"""Detects a file's media type from its bytes alone; the client's Content-Type and extension are not trusted."""

import codecs
import re
from io import BytesIO
from typing import IO, NamedTuple, cast

import filetype

from file_storage.services.media import jpeg_header, png_header
from file_storage.services.media.exif_date import taken_at
from file_storage.services.media.heif_header import heif_type
from file_storage.services.media.image_headers import size_of
from file_storage.services.media.jpegxl_header import jpegxl_type
from file_storage.services.media.tiff_header import tiff_size

UNKNOWN = "application/octet-stream"
_AVIF = "image/avif"

HEAD_BYTES = 4096
"""Bytes read from a file that is not an image."""

MARKUP_BYTES = 64 * 1024
"""Bytes read from a file that may be markup."""

MAX_IMAGE_BYTES = 32 * 1024 * 1024
"""Maximum bytes read from an image: Pillow reads AVIF and WebP completely, and any header may claim to be as long as
its file. If the size is not found by then, the image has no size."""

MIN_READ_BYTES = 4096
"""Minimum count for each read of an image; otherwise parsing a header byte by byte would take minutes."""

MAX_SIDE = 2**31 - 1
"""Headers may have 32 bits for a side, the database has 31."""

_BEFORE_ROOT = re.compile(r"\s+|<\?xml[^>]*>|<!--.*?-->", re.I | re.S)
_SVG = re.compile(r"<(?:!doctype\s+)?(?:\w+:)?svg[\s>/]", re.I)
_XML = re.compile(r"\s*<\?xml\s")
_HTML = re.compile(r"<(?:!doctype\s+html|html|head|body|script|iframe)[\s>]", re.I)

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAY_BE_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<|\xff\xfe|\xfe\xff")

_REDUCTIONS = {
    jpeg_header.SIGNATURE: jpeg_header.bare_jpeg,
    png_header.SIGNATURE: png_header.bare_png,
}
"""Functions that reduce a file to the parts that determine its size, by its first bytes."""
_MAX_SIGNATURE_BYTES = max(map(len, _REDUCTIONS))


class Media(NamedTuple):
    """A media type (RFC 6838), and for an image its width and height in pixels as displayed."""

    media_type: str
    width: int | None = None
    height: int | None = None


def media_of(file: IO[bytes]) -> Media:
    """Return the media type of the bytes, and for an image its size."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    known = heif_type(head) or jpegxl_type(head)
    if not known and (size := tiff_size(cast("IO[bytes]", _LimitedFile(file)))):
        return _media("image/tiff", size)
    file.seek(0)
    media = None if known else _image(file)
    if media is not None:
        # Pillow ignores the crop of an AVIF; a sequence has no other size.
        size = size_of(_AVIF, cast("IO[bytes]", _LimitedFile(file))) if media.media_type == _AVIF else None
        return _media(_AVIF, size) if size else media
    media_type = known or filetype.guess_mime(head) or _by_text(_text_head(file, head))
    return _media(media_type, size_of(media_type, cast("IO[bytes]", _LimitedFile(file))))


def taken_at_of(media_type: str, file: IO[bytes]) -> float | None:
    """Return when an image was taken, in seconds since 1970; ``None`` if its first bytes contain no date.

    :param media_type: the type found by :func:`media_of`.
    """
    return taken_at(media_type, cast("IO[bytes]", _LimitedFile(file)))


class _LimitedFile:
    """A file that ends after `MAX_IMAGE_BYTES` bytes have been read, at any offsets."""

    def __init__(self, file: IO[bytes]) -> None:
        self._remaining = MAX_IMAGE_BYTES
        self.seek = file.seek
        self.tell = file.tell
        self._read = file.read

    def read(self, size: int = -1) -> bytes:
        content = self._read(self._remaining if size < 0 else min(size, self._remaining))
        self._remaining = max(0, self._remaining - max(len(content), MIN_READ_BYTES))
        return content


def _image(file: IO[bytes]) -> Media | None:
    from file_storage.services.media import pillow_headers  # the process of the event stream does not need Pillow

    # Pillow only calls read, seek and tell (Image.open).
    limited = cast("IO[bytes]", _LimitedFile(file))
    try:
        start = limited.read(_MAX_SIGNATURE_BYTES)
        bare = next((reduce for signature, reduce in _REDUCTIONS.items() if start.startswith(signature)), None)
        limited.seek(0)
        media_type, size = pillow_headers.type_and_size(BytesIO(bare(limited)) if bare else limited)
    except Exception:  # noqa: BLE001 (a hostile header can make Pillow raise any error)
        return None
    if media_type is None:
        return None
    return _media(media_type, size)


def _media(media_type: str, size: tuple[int, int] | None) -> Media:
    """Return the media with its size, or without a size that is impossible or does not fit into the database."""
    return Media(media_type, *size) if size and min(size) > 0 and max(size) <= MAX_SIDE else Media(media_type)


def _text_head(file: IO[bytes], head: bytes) -> bytes:
    """Return a longer head if the file may be markup: some programs write long comments before the root."""
    if not _MAY_BE_MARKUP.match(head):
        return head
    file.seek(0)
    return file.read(max(len(head), MARKUP_BYTES))


def _by_text(head: bytes) -> str:
    is_utf_16 = head.startswith(_UTF_16_MARKS)
    try:
        text = codecs.getincrementaldecoder("utf-16" if is_utf_16 else "utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return UNKNOWN
    if not text or "\0" in text:
        return UNKNOWN
    return _markup_type(text) or (UNKNOWN if is_utf_16 else "text/plain")


def _markup_type(text: str) -> str | None:
    """Return the type of text that can run scripts, which must be detected (compare WHATWG MIME Sniffing, 7.1)."""
    position = 0
    # Match one part at a time: a pattern of all parts would backtrack, and possessive groups are wrong before Python
    # 3.11.5.
    while part := _BEFORE_ROOT.match(text, position):
        position = part.end()
    if _SVG.match(text, position):
        return "image/svg+xml"
    if _XML.match(text):
        return "text/xml"
    return "text/html" if _HTML.match(text, position) else None
