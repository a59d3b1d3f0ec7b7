"""JPEG XL, in a container or as a bare codestream: upright, with 8 or 16 bits; of an animation the first frame."""

from functools import partial
from pathlib import Path

import pyvips

from image_processor.services.readers import libjxl
from image_processor.services.readers.metadata import Metadata
from image_processor.services.readers.opened import Opened

_SPACES = {(1, 8): "b-w", (1, 16): "grey16", (3, 8): "srgb", (3, 16): "rgb16"}
_ANIMATED = "This JPEG XL is animated, of which only the first frame can be read"


def open_image(source: Path) -> Opened:
    """Return the image; floating-point samples become 16 bits, what is below 0 or above 1 is cut off."""
    header = libjxl.header_of(source.read_bytes())
    return Opened(
        "jxl",
        header.width,
        header.height,
        lossless=header.lossless,
        pixels=partial(_pixels, source, header),
        metadata=Metadata(_without_offset(header.exif), header.xmp, header.profile, is_upright=True),
        unread=_ANIMATED if header.animated else None,
    )


def _without_offset(exif: bytes | None) -> bytes | None:
    """Return what the box of EXIF holds behind four bytes that say where it begins (ISO/IEC 18181-2, 9.4)."""
    return None if exif is None else exif[4 + int.from_bytes(exif[:4], "big") :]


def _pixels(source: Path, header: libjxl.Header) -> pyvips.Image:
    samples = libjxl.pixels_of(source.read_bytes(), header)
    kind = "uchar" if header.bits == 8 else "ushort"
    image = pyvips.Image.new_from_memory(samples, header.width, header.height, header.colors + header.alpha, kind)
    return image.copy(interpretation=_SPACES[header.colors, header.bits])
