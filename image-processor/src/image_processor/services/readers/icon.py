"""ICO: its largest picture."""

import struct
from functools import partial
from pathlib import Path
from typing import IO

import pyvips
from PIL.IcoImagePlugin import IcoFile

from image_processor.services.readers.opened import Opened
from image_processor.services.readers.raster import from_pillow

_PNG = b"\x89PNG\r\n\x1a\n"


def open_image(source: Path) -> Opened:
    """Return the icon's largest picture, with the size in its own header: the directory cannot hold more than 256."""
    with source.open("rb") as file:
        width, height = _size(file, IcoFile(file).entry[0].offset)
    return Opened("ico", width, height, lossless=True, pixels=partial(_pixels, source))


def _size(file: IO[bytes], offset: int) -> tuple[int, int]:
    """Return the size of the PNG or bitmap at ``offset``; a bitmap's height includes its mask, of the same size."""
    file.seek(offset)
    head = file.read(24)
    if head.startswith(_PNG):
        width, height = struct.unpack(">II", head[16:24])
        return width, height
    width, height = struct.unpack("<ii", head[4:12])
    return width, abs(height) // 2


def _pixels(source: Path) -> pyvips.Image:
    with source.open("rb") as file:
        return from_pillow(IcoFile(file).frame(0))
