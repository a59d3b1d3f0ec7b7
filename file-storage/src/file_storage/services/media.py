"""Detect a file's media type from its bytes alone; a client's Content-Type and extension are not trusted."""

import codecs
import re
import warnings
from typing import IO, NamedTuple, cast

import filetype
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from file_storage.services.heif_header import heif_type
from file_storage.services.image_headers import size_of
from file_storage.services.jpegxl_header import jpegxl_type

UNKNOWN = "application/octet-stream"

HEAD_BYTES = 4096
"""First bytes that are read of a file that is not an image."""

MAX_IMAGE_BYTES = 32 * 1024 * 1024
"""Maximum bytes of an image that are read: Pillow reads AVIF and WebP whole, and any header may claim to be as long as
its file. An image whose size is not found by then has none."""

MIN_READ_BYTES = 4096
"""Each read of an image counts as at least this many bytes, or parsing a header of single bytes would take minutes."""

MAX_SIDE = 2**31 - 1
"""A header may have 32 bits for a side, the database has 31."""

_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112
_ROTATED = (5, 6, 7, 8)
"""EXIF orientations that display an image's width as its height (Exif 2.32, 4.6.4)."""

_TIFF_ORDERS = (b"II", b"MM")
_BIG_TIFF = 43

_PROLOG = r"\s*+(?:<\?xml[^>]*+>\s*+)?+(?:<!--.*?-->\s*+)*+"
_MARKUP = (
    (re.compile(_PROLOG + r"<(?:!doctype\s++)?+(?:\w++:)?+svg[\s>/]", re.I | re.S), "image/svg+xml"),
    (re.compile(r"\s*+<\?xml\s"), "text/xml"),
    (re.compile(_PROLOG + r"<(?:!doctype\s++html|html|head|body|script|iframe)[\s>]", re.I | re.S), "text/html"),
)
"""Text that can run script must be recognized (compare WHATWG MIME Sniffing, 7.1). Possessive quantifiers avoid
backtracking, which would take billions of steps for white space alone."""

_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "TIFF", "WEBP")
"""Formats that Pillow opens by their headers; :mod:`image_headers` reads the sizes of others."""

_COMMON_NAMES = {"image/mpo": "image/jpeg", "image/apng": "image/png"}
"""MPO is a JPEG with a second picture appended, as some cameras write it; APNG is an animated PNG. Programs open both
as plain JPEG and PNG."""

# Only headers are read here, never pixels; the image-processor limits their number.
Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore", module=r"PIL\.")


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
    media = None if known else _image(file)
    if media is not None:
        return media
    media_type = known or filetype.guess_mime(head) or _by_text(head)
    return _media(media_type, size_of(media_type, cast("IO[bytes]", _LimitedFile(file))))


class _LimitedFile:
    """A file that ends after `MAX_IMAGE_BYTES` bytes have been read, from any offsets."""

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
    # Pillow only calls read, seek and tell (Image.open).
    limited = cast("IO[bytes]", _LimitedFile(file))
    try:
        with Image.open(limited, formats=_FORMATS) as image:
            media_type = image.get_format_mimetype()
            width, height = _displayed_size(image)
    except UnidentifiedImageError:
        return _tiff(file)
    except Exception:  # noqa: BLE001 (a hostile header can make Pillow raise any error)
        return None
    if media_type is None:
        return None
    return _media(_COMMON_NAMES.get(media_type, media_type), (width, height))


def _displayed_size(image: Image.Image) -> tuple[int, int]:
    if image.format == "TIFF":  # Pillow has already applied a TIFF's orientation
        return image.size
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    # EXIF alone, like the image-processor and browsers: Pillow's getexif would also use the orientation in XMP.
    return image.size[::-1] if exif.get(_ORIENTATION) in _ROTATED else image.size


def _tiff(file: IO[bytes]) -> Media | None:
    """Return the size of a TIFF whose pixel format Pillow does not support, from its tags."""
    file.seek(0)
    if file.read(2) not in _TIFF_ORDERS:
        return None
    file.seek(0)
    limited = cast("IO[bytes]", _LimitedFile(file))
    try:
        head = limited.read(8)
        tags = ImageFileDirectory_v2(head + limited.read(8) if _BIG_TIFF in head[2:4] else head)
        limited.seek(tags.next)
        tags.load(limited)
        size = int(tags[_WIDTH]), int(tags[_HEIGHT])
        is_rotated = tags.get(_ORIENTATION) in _ROTATED
    except Exception:  # noqa: BLE001 (a hostile header can make Pillow raise any error)
        return None
    return _media("image/tiff", size[::-1] if is_rotated else size)


def _media(media_type: str, size: tuple[int, int] | None) -> Media:
    """Return the media with its size; without one that is impossible or does not fit into the database."""
    return Media(media_type, *size) if size and min(size) > 0 and max(size) <= MAX_SIDE else Media(media_type)


def _by_text(head: bytes) -> str:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return UNKNOWN
    if not text or "\0" in text:
        return UNKNOWN
    return next((media_type for pattern, media_type in _MARKUP if pattern.match(text)), "text/plain")
