"""Reads media types and displayed sizes from headers with Pillow; :mod:`media` imports it when it needs it."""

import warnings
from typing import IO

from PIL import Image

_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_ROTATED = (5, 6, 7, 8)
"""EXIF orientations that swap an image's displayed width and height (Exif 2.32, 4.6.4)."""

_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "WEBP")
"""Formats whose headers Pillow opens; :mod:`image_headers` reads the sizes of others."""

# Only headers are read here, never pixels; the image-processor limits their number.
Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore", module=r"PIL\.")


def type_and_size(file: IO[bytes]) -> tuple[str | None, tuple[int, int]]:
    """Return the media type of an image, if Pillow knows it, and its width and height in pixels as displayed.

    :raises Exception: any; a hostile header can make Pillow raise any error.
    """
    with Image.open(file, formats=_FORMATS) as image:
        return image.get_format_mimetype(), _displayed_size(image)


def _displayed_size(image: Image.Image) -> tuple[int, int]:
    block = image.info.get("exif", b"")
    # Pillow adds the prefix to a PNG's chunk, which may have one of its own.
    block = block.removeprefix(_PREFIX) if image.format == "PNG" else block
    return image.size[::-1] if _orientation(block) in _ROTATED else image.size


def _orientation(block: bytes) -> object:
    """Return the orientation in an EXIF block; ``None`` if it has none or cannot be read.

    Only EXIF counts, as in the image-processor and browsers; Pillow's getexif would also use XMP. Pillow reads a block
    with two prefixes; libvips does not.
    """
    if block.startswith(_PREFIX * 2):
        return None
    exif = Image.Exif()
    try:
        exif.load(block)
        value = exif.get(_ORIENTATION)
    except Exception:  # noqa: BLE001 (damaged EXIF can make Pillow raise any error, and the image has a size without it)
        return None
    return value[0] if isinstance(value, bytes) and value else value  # some programs write it as a byte
