"""Reads JPEG XL from a container or bare codestream: upright, 8 or 16 bits, only the first frame of an animation."""

from functools import partial
from pathlib import Path

import pyvips
from service_kit.texts import sentence

from image_processor.imaging.samples import marked_raw, without_overshoots
from image_processor.services.readers import libjxl
from image_processor.services.readers.metadata import Metadata
from image_processor.services.readers.opened import Opened

_KINDS = {8: "uchar", 16: "ushort", 32: "float"}
_SPACES = {
    **{(1, 8): "b-w", (1, 16): "grey16", (1, 32): "b-w"},
    **{(3, 8): "srgb", (3, 16): "rgb16", (3, 32): "scrgb"},
}
"""As libvips names the samples of a TIFF, by colors and bits."""
_ANIMATED = sentence("This JPEG XL is animated, and only its first frame can be read")


def open_image(source: Path) -> Opened:
    """Return the image."""
    header = libjxl.header_of(source.read_bytes())
    return Opened(
        "jxl",
        header.width,
        header.height,
        lossless=header.lossless,
        pixels=partial(_pixels, source, header),
        metadata=Metadata(_without_offset(header.exif), header.xmp, header.profile, is_upright=True),
        unread=_ANIMATED if header.animated else None,
        pixel_bytes=(header.colors + header.alpha) * header.bits // 8,
    )


def _without_offset(exif: bytes | None) -> bytes | None:
    """Return the EXIF in a box without the four-byte offset at its start (ISO/IEC 18181-2, 9.4)."""
    return None if exif is None else exif[4 + int.from_bytes(exif[:4], "big") :]


def _pixels(source: Path, header: libjxl.Header) -> pyvips.Image:
    samples = libjxl.pixels_of(source.read_bytes(), header)
    bands = header.colors + header.alpha
    image = pyvips.Image.new_from_memory(samples, header.width, header.height, bands, _KINDS[header.bits])
    image = image.copy(interpretation=_SPACES[header.colors, header.bits])
    return marked_raw(image if header.lossless or header.bits < 32 else without_overshoots(image))
