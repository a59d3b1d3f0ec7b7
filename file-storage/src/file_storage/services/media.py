"""What a file's bytes are, by the bytes alone: a client's Content-Type and extension are not believed."""

import codecs
import re
import warnings
from typing import IO, NamedTuple

import filetype
from PIL import Image, UnidentifiedImageError

UNKNOWN = "application/octet-stream"

HEAD = 4096
"""Bytes looked at of what is no image."""

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
"""EXIF orientations that show an image's width as its height (Exif 2.32, 4.6.4)."""

_MARKUP = (
    (
        re.compile(r"\A\s*(<\?xml[^>]*>)?\s*(<!--.*?-->\s*)?(<!doctype\s+svg[^>]*>)?\s*<svg[\s>]", re.I | re.S),
        "image/svg+xml",
    ),
    (
        re.compile(r"\A\s*(<!--.*?-->\s*)?<(!doctype\s+html|html|head|body|script|iframe)[\s>]", re.I | re.S),
        "text/html",
    ),
    (re.compile(r"\A\s*<\?xml\s"), "text/xml"),
)
"""What can run script must be known as such (compare WHATWG MIME Sniffing, 7.1)."""

_FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "TIFF", "WEBP")

_COMMON_NAMES = {"image/mpo": "image/jpeg"}
"""A JPEG with a second picture behind it, as some cameras write, is one to all who read it."""

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
    return _image(file) or Media(filetype.guess_mime(head) or _by_text(head))


def _image(file: IO[bytes]) -> Media | None:
    try:
        with Image.open(file, formats=_FORMATS) as image:
            media_type = image.get_format_mimetype()
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            width, height = image.size
    except UnidentifiedImageError:
        return None
    except Exception:  # noqa: BLE001 (a hostile header makes Pillow raise anything at all)
        return None
    if media_type is None:
        return None
    media_type = _COMMON_NAMES.get(media_type, media_type)
    return Media(media_type, height, width) if turned else Media(media_type, width, height)


def _by_text(head: bytes) -> str:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return UNKNOWN
    if not text or "\0" in text:
        return UNKNOWN
    return next((media_type for pattern, media_type in _MARKUP if pattern.search(text)), "text/plain")
