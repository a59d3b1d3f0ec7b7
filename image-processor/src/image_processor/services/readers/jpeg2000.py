"""JPEG 2000, as a file with boxes (JP2) and as a bare codestream."""

from functools import partial
from pathlib import Path

import pyvips

from image_processor.services.readers.metadata import Metadata
from image_processor.services.readers.opened import Opened
from image_processor.services.readers.pillow import Image
from image_processor.services.readers.raster import from_pillow

_HEADER = 64 * 1024
_CODING_STYLE = b"\xff\x52"
_FIRST_TILE = b"\xff\x90"
_CODESTREAM = b"\xff\x4f\xff\x51"


def open_image(source: Path) -> Opened:
    """Return the image; OpenJPEG gives 16 bits of a grey one, and 8 of colours."""
    with Image.open(source, formats=["JPEG2000"]) as image:
        width, height = image.size
    with source.open("rb") as file:
        head = file.read(_HEADER)
    metadata = Metadata(profile=_profile(head))
    return Opened("jp2", width, height, _is_lossless(head), partial(_pixels, source), metadata)


def _pixels(source: Path) -> pyvips.Image:
    with Image.open(source, formats=["JPEG2000"]) as image:
        return from_pillow(image)


def _is_lossless(head: bytes) -> bool:
    """Return whether the wavelet is the reversible 5-3 (ISO/IEC 15444-1, A.6.1)."""
    main_header = head.partition(_CODESTREAM)[2].partition(_FIRST_TILE)[0]
    style = main_header.partition(_CODING_STYLE)[2]
    return style[11:12] == b"\x01"


def _profile(head: bytes) -> bytes | None:
    """Return the ICC profile of the color box (ISO/IEC 15444-1, I.5.3.3)."""
    boxes = head.partition(b"jp2c")[0]
    before, found, color = boxes.partition(b"colr")
    if not found or color[:1] != b"\x02":
        return None
    length = int.from_bytes(before[-4:], "big")
    return color[3 : length - 8]
