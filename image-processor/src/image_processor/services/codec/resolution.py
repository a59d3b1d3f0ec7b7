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
_GREATEST = 100_000
"""The greatest resolution that is believed, in dots per millimeter: a dot is a hundredth of a micrometer."""
_JFIF_HEAD, _JFIF = b"\xff\xd8\xff\xe0", struct.Struct(">5s2xBHH")
"""The first bytes of a JPEG with JFIF; after two bytes for the length, its name, version, unit and densities."""
_PER_MILLIMETER = {1: 1 / 25.4, 2: 0.1}
"""Dots per millimeter of one dot per inch, and per centimeter (JFIF 1.02, units 1 and 2)."""


def with_stated_resolution(image: pyvips.Image, source: Path, format_name: str) -> pyvips.Image:
    """Return the image with the resolution that its file states in a unit, or the default."""
    stated = _stated(image, source, format_name)
    return image if stated == (image.xres, image.yres) else _with(image, stated)


def with_resolution_of(image: pyvips.Image, carrier: pyvips.Image) -> pyvips.Image:
    """Return the image with the resolution in the EXIF of another image, or the default."""
    return _with(image, None if _has_no_unit_in_exif(carrier) else _possible((carrier.xres, carrier.yres)))


def _stated(image: pyvips.Image, source: Path, format_name: str) -> tuple[float, float] | None:
    """Return dots per millimeter, across and down; ``None`` if the file states no possible resolution."""
    carrier = pixel_with_exif_of(image) if format_name in _READ_WITHOUT_RESOLUTION else None
    read = image if carrier is None else carrier
    if format_name == "png" and (not image.get_typeof(_UNIT) or _has_no_unit_in_exif(image)):
        stated = _of_png(source)
    elif _has_no_unit_in_exif(read):
        stated = _of_jfif(source) if format_name == "jpeg" else None
    elif format_name == "tiff" and not image.get_typeof(_UNIT):
        stated = None
    else:
        stated = read.xres, read.yres
    return _possible(stated)


def _possible(stated: tuple[float, float] | None) -> tuple[float, float] | None:
    return stated if stated is not None and all(0 < dots <= _GREATEST for dots in stated) else None


def _has_no_unit_in_exif(image: pyvips.Image) -> bool:
    return bool(image.get_typeof(_UNIT_IN_EXIF)) and str(image.get(_UNIT_IN_EXIF)).startswith(_NO_UNIT)


def _with(image: pyvips.Image, stated: tuple[float, float] | None) -> pyvips.Image:
    x, y = stated or (_UNKNOWN, _UNKNOWN)
    image = image.copy(xres=x, yres=y)
    image.remove(_UNIT)
    return image


def _of_png(source: Path) -> tuple[float, float] | None:
    chunk = chunks_before_pixels(source).get(b"pHYs", b"")
    if len(chunk) != struct.calcsize(">IIB"):
        return None
    x, y, unit = struct.unpack(">IIB", chunk)
    return (x / 1000, y / 1000) if unit == _PER_METER else None


def _of_jfif(source: Path) -> tuple[float, float] | None:
    with source.open("rb") as file:
        head = file.read(len(_JFIF_HEAD) + 2 + _JFIF.size)
    if len(head) < len(_JFIF_HEAD) + 2 + _JFIF.size or not head.startswith(_JFIF_HEAD):
        return None
    name, unit, x, y = _JFIF.unpack_from(head, len(_JFIF_HEAD) + 2)
    scale = _PER_MILLIMETER.get(unit)
    return None if name != b"JFIF\0" or scale is None else (x * scale, y * scale)
