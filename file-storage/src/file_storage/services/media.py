"""What a file's bytes are, by the bytes alone: a client's Content-Type and extension are not believed."""

import codecs
import re
import warnings
from typing import IO, NamedTuple, cast

import filetype
from PIL import Image

from file_storage.services.heif_header import heif_type
from file_storage.services.image_headers import size_of
from file_storage.services.jpegxl_header import jpegxl_type
from file_storage.services.tiff_header import tiff_size

UNKNOWN = "application/octet-stream"

HEAD = 4096
"""Bytes looked at of what is no image."""

MARKUP = 64 * 1024
"""Bytes looked at of what may be markup."""

HEADERS = 32 * 1024 * 1024
"""Bytes of an image looked at, at most: AVIF and WebP are read whole, and any header may claim its file's length. An
image whose size is not known by then has none."""

PAGE = 4096
"""What each read of an image counts for at least, or headers of single bytes would take minutes."""

LARGEST_SIDE = 2**31 - 1
"""What a header may say of 32 bits, the database holds in 31."""

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
"""EXIF orientations that show an image's width as its height (Exif 2.32, 4.6.4)."""

_PROLOG = r"\s*+(?:<\?xml[^>]*+>\s*+)?+(?:<!--.*?-->\s*+)*+"
_MARKUP = (
    (re.compile(_PROLOG + r"<(?:!doctype\s++)?+(?:\w++:)?+svg[\s>/]", re.I | re.S), "image/svg+xml"),
    (re.compile(r"\s*+<\?xml\s"), "text/xml"),
    (re.compile(_PROLOG + r"<(?:!doctype\s++html|html|head|body|script|iframe)[\s>]", re.I | re.S), "text/html"),
)
"""What can run script must be known as such (compare WHATWG MIME Sniffing, 7.1). Possessive quantifiers, as nothing
that matched is to be tried another way: white space alone has billions of them."""

_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAY_BE_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<|\xff\xfe|\xfe\xff")

_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "WEBP")
"""Those that Pillow opens by their headers; other images have their sizes from :mod:`image_headers`."""

_COMMON_NAMES = {"image/mpo": "image/jpeg", "image/apng": "image/png"}
"""A JPEG with a second picture behind it, as some cameras write, and an animated PNG are ones to all who read them."""

# Only headers are read here, never pixels: how many there are is the image-processor's care.
Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore", module=r"PIL\.")


class Media(NamedTuple):
    """A media type (RFC 6838), and for an image its width and height in pixels as it is shown."""

    media_type: str
    width: int | None = None
    height: int | None = None


def media_of(file: IO[bytes]) -> Media:
    """Sniffs what the bytes are."""
    head = file.read(HEAD)
    file.seek(0)
    known = heif_type(head) or jpegxl_type(head)
    if not known and (size := tiff_size(cast("IO[bytes]", _Headers(file)))):
        return _media("image/tiff", size)
    file.seek(0)
    media = None if known else _image(file)
    if media is not None:
        return media
    media_type = known or filetype.guess_mime(head) or _by_text(_start_of_text(file, head))
    return _media(media_type, size_of(media_type, cast("IO[bytes]", _Headers(file))))


class _Headers:
    """A file that ends after `HEADERS` bytes, wherever they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._left = HEADERS
        self.seek = file.seek
        self.tell = file.tell
        self._read = file.read

    def read(self, size: int = -1) -> bytes:
        content = self._read(self._left if size < 0 else min(size, self._left))
        self._left = max(0, self._left - max(len(content), PAGE))
        return content


def _image(file: IO[bytes]) -> Media | None:
    # Pillow asks no more of a file than to read, seek and tell (Image.open).
    headers = cast("IO[bytes]", _Headers(file))
    try:
        with Image.open(headers, formats=_FORMATS) as image:
            media_type = image.get_format_mimetype()
            width, height = _size_as_shown(image)
    except Exception:  # noqa: BLE001 (a hostile header makes Pillow raise anything at all)
        return None
    if media_type is None:
        return None
    return _media(_COMMON_NAMES.get(media_type, media_type), (width, height))


def _size_as_shown(image: Image.Image) -> tuple[int, int]:
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    # EXIF alone, as the image-processor and browsers have it: Pillow's getexif would take the orientation of XMP too.
    return image.size[::-1] if exif.get(_ORIENTATION) in _TURNED else image.size


def _media(media_type: str, size: tuple[int, int] | None) -> Media:
    """Return the media with its size, but with none that no image has and no column holds."""
    return Media(media_type, *size) if size and min(size) > 0 and max(size) <= LARGEST_SIDE else Media(media_type)


def _start_of_text(file: IO[bytes], head: bytes) -> bytes:
    """Return more than the head where it may be markup: programs write long comments before the root."""
    if not _MAY_BE_MARKUP.match(head):
        return head
    file.seek(0)
    return file.read(max(len(head), MARKUP))


def _by_text(head: bytes) -> str:
    is_wide = head.startswith(_WIDE)
    try:
        text = codecs.getincrementaldecoder("utf-16" if is_wide else "utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return UNKNOWN
    if not text or "\0" in text:
        return UNKNOWN
    other = UNKNOWN if is_wide else "text/plain"
    return next((media_type for pattern, media_type in _MARKUP if pattern.match(text)), other)
