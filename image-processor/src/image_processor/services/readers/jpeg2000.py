"""JPEG 2000, as a file with boxes (JP2) or a bare codestream."""

from functools import partial
from pathlib import Path

import imagecodecs
import numpy
import pyvips
from service_kit.texts import sentence

from image_processor.services.readers.metadata import Metadata
from image_processor.services.readers.opened import DamagedError, Opened
from image_processor.services.readers.pillow import Image
from image_processor.services.readers.raster import from_pillow

_HEADER = 64 * 1024
_CODING_STYLE = b"\xff\x52"
_FIRST_TILE = b"\xff\x90"
_CODESTREAM = b"\xff\x4f\xff\x51"
_SYCC = b"colr\1\0\0\0\0\0\x12"
_DEEP_BYTES = 4 * (4 + 2)
"""Memory per pixel while decoding: four samples of 32 bits in OpenJPEG and of 16 bits in the result."""


def open_image(source: Path) -> Opened:
    """Return the image with its own bit depth."""
    with Image.open(source, formats=["JPEG2000"]) as image:
        width, height = image.size
    with source.open("rb") as file:
        head = file.read(_HEADER)
    metadata = Metadata(profile=_profile(head))
    deepest = _bits_of_colors(head)
    pixels = partial(_pixels, source) if deepest is None else partial(_deep_pixels, source, deepest, width * height)
    # Pillow gives 16 bits of a gray image alone, imagecodecs of four bands.
    return Opened("jp2", width, height, _is_lossless(head), pixels, metadata, pixel_bytes=4 if deepest is None else 8)


def _bits_of_colors(head: bytes) -> int | None:
    """Return the bits of red, green and blue if they are more than 8; ``None`` if Pillow reads the image.

    Pillow keeps 16 bits only of gray images. Sizes of components: ISO/IEC 15444-1, A.5.1.
    """
    boxes, _, stream = head.partition(_CODESTREAM)
    components = int.from_bytes(stream[36:38], "big")
    sizes = {stream[38 + 3 * number : 41 + 3 * number] for number in range(components)}
    if components not in (3, 4) or len(sizes) != 1 or _SYCC in boxes:
        return None
    depth, across, down = sizes.pop().ljust(3, b"\0")
    return depth + 1 if 8 <= depth < 16 and across == down == 1 else None


def _deep_pixels(source: Path, bits: int, pixels: int) -> pyvips.Image:
    bytearray(_DEEP_BYTES * pixels)  # raises MemoryError early: OpenJPEG does not report that it has too little memory
    try:
        array = imagecodecs.jpeg2k_decode(source.read_bytes(), numthreads=1)
    except imagecodecs.Jpeg2kError as error:  # its message only names a function of OpenJPEG
        raise DamagedError(sentence("its pixels cannot be decoded")) from error
    image = pyvips.Image.new_from_array(numpy.ascontiguousarray(array)).copy(interpretation="rgb16")
    white = 2**bits - 1
    return image if white == 65535 else (image * (65535 / white)).rint().cast("ushort")


def _pixels(source: Path) -> pyvips.Image:
    with Image.open(source, formats=["JPEG2000"]) as image:
        return from_pillow(image)


def _is_lossless(head: bytes) -> bool:
    """Return whether the wavelet is the reversible 5-3 (ISO/IEC 15444-1, A.6.1)."""
    main_header = head.partition(_CODESTREAM)[2].partition(_FIRST_TILE)[0]
    style = main_header.partition(_CODING_STYLE)[2]
    return style[11:12] == b"\x01"


def _profile(head: bytes) -> bytes | None:
    """Return the ICC profile in the color specification box (ISO/IEC 15444-1, I.5.3.3)."""
    boxes = head.partition(b"jp2c")[0]
    before, found, color = boxes.partition(b"colr")
    if not found or color[:1] != b"\x02":
        return None
    length = int.from_bytes(before[-4:], "big")
    return color[3 : length - 8]
