"""Reads most BMPs with Pillow; converts Pillow's images for other readers."""

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyvips
from service_kit.texts import counted, sentence

from image_processor.imaging.color import in_color
from image_processor.services.causes import Cause
from image_processor.services.codec.errors import ImageError
from image_processor.services.readers import bmp_colors, indexed_bmp, masked_bmp
from image_processor.services.readers.metadata import Metadata
from image_processor.services.readers.opened import Opened
from image_processor.services.readers.pillow import Image

_BANDS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "I;16": 1}
_SPACES = {"L": "b-w", "LA": "b-w", "RGB": "srgb", "RGBA": "srgb", "CMYK": "cmyk", "I;16": "grey16"}
_PLAIN = {"1": "L", "I;16B": "I;16", "I;16L": "I;16", "I": "I;16", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA"}
"""Other modes of Pillow, and the modes above to which they are converted."""

_SPACE_OF_PROFILE = slice(16, 20)
"""Place of the color space in a profile (ICC.1:2010, 7.2)."""
_HEADER_WITH_COMPRESSION = 40
_SHORT_OS2_HEADER, _OS2_HEADER = 16, 64
"""Headers of OS/2 2, whose other fields and compressions have a meaning of their own."""
_BITS_OF_BMP = (1, 2, 4, 8, 16, 24, 32)
_COMPRESSIONS_OF_BMP = (0, 1, 2, 3, 6)
"""None, RLE of 8 and 4 bits, and masks without and with alpha."""
_COMPRESSIONS_OF_OS2 = (0, 1, 2)


def open_image(source: Path) -> Opened:
    """Return the image of a BMP.

    :raises ImageError: this kind of BMP is not supported.
    """
    with source.open("rb") as file:
        head = file.read(max(indexed_bmp.HEAD, masked_bmp.HEAD, bmp_colors.HEAD))
    width, height, pixels = _layout(source, head)
    profile = bmp_colors.profile_of(source, head)
    if profile is not None and profile[_SPACE_OF_PROFILE] == b"RGB ":
        pixels = partial(_in_color, pixels)
    return Opened("bmp", width, height, lossless=True, pixels=pixels, metadata=Metadata(profile=profile))


def _layout(source: Path, head: bytes) -> tuple[int, int, Callable[[], pyvips.Image]]:
    """Return the width and height, and what decodes the pixels.

    :raises ImageError: this kind of BMP is not supported.
    """
    indexed = indexed_bmp.indexed_bmp(head)
    if indexed is not None:
        return indexed.width, indexed.height, partial(indexed_bmp.pixels_of, source, indexed)
    _refuse_unread(head)
    masked = masked_bmp.masked_bmp(head)
    if masked is not None:
        return masked.width, masked.height, partial(masked_bmp.pixels_of, source, masked)
    with Image.open(source, formats=["BMP"]) as image:
        return *image.size, partial(_pixels, source)


def _in_color(pixels: Callable[[], pyvips.Image]) -> pyvips.Image:
    """Return the decoded image with three bands: a profile for RGB does not describe gray."""
    return in_color(pixels())


def _refuse_unread(head: bytes) -> None:
    """Check the kind of a BMP that :mod:`indexed_bmp` does not read.

    :raises ImageError: Pillow and :mod:`masked_bmp` do not read it either.
    """
    size = int.from_bytes(head[14:18], "little")
    if size == _SHORT_OS2_HEADER:
        detail = sentence(
            "A BMP with the short header of OS/2 is not supported without a palette: save it for Windows, or as PNG."
        )
        raise ImageError(detail, Cause.IMAGE_UNSUPPORTED)
    if size < _HEADER_WITH_COMPRESSION:
        return
    bits, compression = struct.unpack_from("<HI", head, 28)
    known = _COMPRESSIONS_OF_OS2 if size == _OS2_HEADER else _COMPRESSIONS_OF_BMP
    if bits not in _BITS_OF_BMP or compression not in known:
        raise ImageError(
            counted(
                "A BMP with {bits} bit per pixel and compression {compression} is not supported: save it with 24 bits.",
                "A BMP with {bits} bits per pixel and compression {compression} is not supported: save it with 24"
                " bits.",
                "bits",
                bits=bits,
                compression=compression,
            ),
            Cause.IMAGE_UNSUPPORTED,
        )


def _pixels(source: Path) -> pyvips.Image:
    with Image.open(source, formats=["BMP"]) as image:
        return from_pillow(image)


def from_pillow(image: Image.Image) -> pyvips.Image:
    """Decode the image as gray, sRGB or CMYK."""
    if image.mode not in _BANDS:
        image = image.convert(_plain_mode(image))
    decoded = pyvips.Image.new_from_memory(
        image.tobytes(), *image.size, _BANDS[image.mode], "ushort" if image.mode == "I;16" else "uchar"
    )
    return decoded.copy(interpretation=_SPACES[image.mode])


def _plain_mode(image: Image.Image) -> str:
    if image.mode in ("P", "PA"):
        return "RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB"
    return _PLAIN.get(image.mode, "RGB")
