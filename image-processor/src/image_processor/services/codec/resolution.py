"""Ignores a resolution without a unit, which states only the shape of a pixel.

libvips takes it as dots per millimeter. 72 dots per inch, its default, means that the resolution is not known (CIPA
DC-008, XResolution).
"""

import struct
from pathlib import Path

import pyvips

from image_processor.services.codec.exif_block import pixel_with_exif_of
from image_processor.services.codec.png import chunks_before_pixels

_UNKNOWN = 72 / 25.4
_UNIT, _UNIT_IN_EXIF = "resolution-unit", "exif-ifd0-ResolutionUnit"
"""libvips sets the first only for a number with a unit, from JFIF, TIFF and EXIF."""
_NO_UNIT = "1 "
"""How libvips writes the unit 1 of EXIF, followed by its name."""
_READ_WITHOUT_RESOLUTION = ("webp", "avif")
"""Formats whose resolution libvips reads from EXIF, and then replaces by a default."""
_PER_METER = 1
"""The only unit of the chunk pHYs (PNG, third edition, 11.3.4.3)."""


def with_stated_resolution(image: pyvips.Image, source: Path, format_name: str) -> pyvips.Image:
    """Return the image with the resolution that its file states in a unit, or the default."""
    if format_name == "png":
        has_unit = image.get_typeof(_UNIT) and not _has_no_unit_in_exif(image)
        return image if has_unit else _with(image, *_of_png(source))
    carrier = pixel_with_exif_of(image) if format_name in _READ_WITHOUT_RESOLUTION else None
    if carrier is not None:
        return with_resolution_of(image, carrier)
    is_unknown = _has_no_unit_in_exif(image) or (format_name == "tiff" and not image.get_typeof(_UNIT))
    return _with(image, _UNKNOWN, _UNKNOWN) if is_unknown else image


def with_resolution_of(image: pyvips.Image, carrier: pyvips.Image) -> pyvips.Image:
    """Return the image with the resolution in the EXIF of another image, or the default."""
    if _has_no_unit_in_exif(carrier):
        return _with(image, _UNKNOWN, _UNKNOWN)
    return image.copy(xres=carrier.xres, yres=carrier.yres)


def _has_no_unit_in_exif(image: pyvips.Image) -> bool:
    return bool(image.get_typeof(_UNIT_IN_EXIF)) and str(image.get(_UNIT_IN_EXIF)).startswith(_NO_UNIT)


def _with(image: pyvips.Image, x: float, y: float) -> pyvips.Image:
    image = image.copy(xres=x, yres=y)
    image.remove(_UNIT)
    return image


def _of_png(source: Path) -> tuple[float, float]:
    chunk = chunks_before_pixels(source).get(b"pHYs", b"")
    if len(chunk) != struct.calcsize(">IIB"):
        return _UNKNOWN, _UNKNOWN
    x, y, unit = struct.unpack(">IIB", chunk)
    return (x / 1000, y / 1000) if unit == _PER_METER else (_UNKNOWN, _UNKNOWN)
