"""Reads ICO: the largest picture, and among pictures of that size the one with the most colors."""

import struct
from functools import partial
from pathlib import Path
from typing import IO

import numpy
import pyvips
from PIL.IcoImagePlugin import IcoFile
from service_kit.texts import sentence

from image_processor.services.readers import indexed_bmp
from image_processor.services.readers.opened import DamagedError, Opened
from image_processor.services.readers.raster import from_pillow

_PNG = b"\x89PNG\r\n\x1a\n"
_FIRST_CHUNK = b"IHDR"
_FILE_HEADER = 14
"""Size of the header that a BMP has and a bitmap in an icon lacks."""
_BITMAP_HEADER = 40
_DEEP = 32
"""Bits per pixel of a bitmap with alpha."""


def open_image(source: Path) -> Opened:
    """Return the icon's picture, with the size from its own header: the directory cannot hold sizes above 256."""
    with source.open("rb") as file:
        entries = IcoFile(file).entry
        if not entries:
            raise DamagedError(sentence("the icon has no picture"))
        # A PNG in the directory often has a depth of 0; it has alpha.
        number = max(range(len(entries)), key=lambda place: (entries[place].square, entries[place].bpp or _DEEP))
        width, height = _size(file, entries[number].offset)
    return Opened("ico", width, height, lossless=True, pixels=partial(_pixels, source, number))


def _size(file: IO[bytes], offset: int) -> tuple[int, int]:
    """Return the size of the PNG or bitmap at ``offset``; a bitmap's height includes its mask, of the same size."""
    file.seek(offset)
    head = file.read(24)
    if head.startswith(_PNG):
        name, width, height = struct.unpack(">4sII", head[12:24])
        is_valid = name == _FIRST_CHUNK
    else:
        length, width, height = struct.unpack("<Iii", head[:12])
        height = abs(height) // 2
        is_valid = length >= _BITMAP_HEADER and width > 0
    if not is_valid:  # the decoder would find another size, which no limit was applied to
        raise DamagedError(sentence("its header is invalid"))
    return width, height


def _pixels(source: Path, number: int) -> pyvips.Image:
    with source.open("rb") as file:
        icon = IcoFile(file)
        file.seek(icon.entry[number].offset)
        indexed = _indexed(file)
        if indexed is not None:
            return indexed
        image = from_pillow(icon.frame(number))
        file.seek(icon.entry[number].offset)
        head = file.read(_BITMAP_HEADER)
        is_deep = not head.startswith(_PNG) and int.from_bytes(head[14:16], "little") == _DEEP
        if not is_deep or not image.hasalpha() or image[image.bands - 1].max() > 0:
            return image
        # Programs that do not know alpha leave it at 0 everywhere; then only the mask determines visibility.
        file.seek(4 * image.width * image.height, 1)
        return image[0:3].bandjoin(_visible(file, image.width, image.height)).copy(interpretation="srgb")


def _indexed(file: IO[bytes]) -> pyvips.Image | None:
    """Return the bitmap if it has a palette, of which Pillow shows some in wrong colors."""
    head = file.read(_BITMAP_HEADER)
    (height,) = struct.unpack_from("<i", head, 8)
    head = bytes(_FILE_HEADER) + head[:8] + struct.pack("<i", height // 2) + head[12:]
    layout = None if head.startswith(_PNG, _FILE_HEADER) else indexed_bmp.indexed_bmp(head)
    if layout is None or layout.compression:
        return None
    content = head + file.read(layout.start - len(head) + layout.row_bytes * layout.height)
    colors = indexed_bmp.decoded(content, layout)
    return colors.bandjoin(_visible(file, layout.width, layout.height)).copy(interpretation=colors.interpretation)


def _visible(file: IO[bytes], width: int, height: int) -> pyvips.Image:
    """Return alpha from the mask after the colors: one bit per pixel, bottom row first, 1 for invisible pixels."""
    stride = (width + 31) // 32 * 4
    mask = numpy.frombuffer(file.read(stride * height).ljust(stride * height, b"\0"), "uint8").reshape(height, stride)
    hidden = numpy.unpackbits(mask[::-1], axis=1)[:, :width]
    return pyvips.Image.new_from_array((1 - hidden) * numpy.uint8(255))
