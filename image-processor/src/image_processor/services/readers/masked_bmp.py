"""Reads BMP with bit masks for red, green, blue and perhaps alpha, of which Pillow reads only the most common."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy
import pyvips
from service_kit.texts import sentence

from image_processor.services.readers.opened import DamagedError

_FILE_HEADER = 14
_MASKS = _FILE_HEADER + 40
"""Offset of the masks, at the end of a short header or after it (BITMAPV5HEADER, "bV5RedMask")."""
_BITFIELDS, _ALPHA_BITFIELDS = 3, 6
"""Values of biCompression."""
_WITH_ALPHA = 56
"""Size in bytes of the shortest header with a mask for alpha."""
HEAD = _MASKS + 16
_AT_ONCE = 1024 * 1024
"""Number of pixels computed together."""


class MaskedBmp(NamedTuple):
    """The layout of the pixels according to the header.

    :param start: offset of the pixels.
    :param is_top_down: the first row is the top one.
    :param masks: masks of red, green, blue and perhaps alpha.
    """

    width: int
    height: int
    bits: int
    start: int
    is_top_down: bool
    masks: Sequence[int]


def masked_bmp(head: bytes) -> MaskedBmp | None:
    """Return the layout of a BMP with masks; ``None`` if it has none."""
    if len(head) < HEAD:
        return None
    (start,) = struct.unpack_from("<I", head, 10)
    size, width, height, _, bits, compression = struct.unpack_from("<IiiHHI", head, _FILE_HEADER)
    if compression not in (_BITFIELDS, _ALPHA_BITFIELDS) or bits not in (16, 32):
        return None
    *colors, alpha = struct.unpack_from("<4I", head, _MASKS)
    has_alpha = alpha and (size >= _WITH_ALPHA or compression == _ALPHA_BITFIELDS)
    return MaskedBmp(width, abs(height), bits, start, height < 0, [*colors, alpha] if has_alpha else colors)


def pixels_of(source: Path, layout: MaskedBmp) -> pyvips.Image:
    """Return the decoded pixels. Alpha that is 0 everywhere is ignored, as in browsers.

    :raises DamagedError: pixels are missing.
    """
    stride = (layout.width * layout.bits + 31) // 32 * 4
    with source.open("rb") as file:
        file.seek(layout.start)
        content = file.read(stride * layout.height)
    if len(content) < stride * layout.height:
        raise DamagedError(sentence("the file is truncated"))
    words = numpy.frombuffer(content, f"<u{layout.bits // 8}").reshape(layout.height, -1)[:, : layout.width]
    words = words if layout.is_top_down else words[::-1]
    bands = [_band(words, mask) for mask in layout.masks]
    if len(bands) == 4 and not bands[3].any():
        bands.pop()
    return pyvips.Image.new_from_array(numpy.dstack(bands)).copy(interpretation="srgb")


def _band(words: numpy.ndarray, mask: int) -> numpy.ndarray:
    """Return the bits under the mask, scaled to 0 … 255."""
    if not mask:
        return numpy.zeros(words.shape, "uint8")
    lowest = mask & -mask
    scaled = numpy.empty(words.shape, "uint8")
    # In parts, because the floating-point numbers of all pixels need more memory than the picture.
    rows = max(1, _AT_ONCE // max(1, words.shape[1]))
    for top in range(0, len(words), rows):
        values = (words[top : top + rows] & mask) // lowest
        scaled[top : top + rows] = numpy.rint(values * (255 / (mask // lowest)))
    return scaled
