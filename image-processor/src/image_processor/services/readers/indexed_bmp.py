"""Reads BMP whose pixels are numbers of colors, of which Pillow shows some in wrong colors and refuses others."""

import re
import struct
from pathlib import Path
from typing import NamedTuple

import numpy
import pyvips
from service_kit.texts import counted, sentence

from image_processor.services.causes import Cause
from image_processor.services.codec.errors import ImageError
from image_processor.services.readers.opened import DamagedError

_FILE_HEADER = 14
_OS2_HEADER, _SHORT_OS2_HEADER, _HEADER = 12, 16, 40
"""Sizes of BITMAPCOREHEADER, of OS/2's header without its optional part, and of the shortest other header."""
HEAD = _FILE_HEADER + _HEADER
_BITS = (1, 2, 4, 8)
_NONE, _RLE_8, _RLE_4 = 0, 1, 2
"""Values of biCompression."""
_RUN_BYTES = 2
_RUNS = re.compile(rb"(?:[^\0].){1,4096}", re.DOTALL)
"""A run is a count and a value. The maximum limits the memory for what one match expands to."""
_END_OF_LINE, _END_OF_BITMAP, _DELTA = 0, 1, 2
"""Codes after a zero (Windows GDI, "Bitmap Compression")."""
_MOST_PARTS = 10_000_000
"""Maximum number of ends of lines, jumps and absolute runs: each takes a microsecond, and a task at most a minute."""
_MOST_COLORS = 256
_MOST_STORED = 65_536
"""Maximum number of colors in a file, as in Pillow; more than 256 have no number."""


class IndexedBmp(NamedTuple):
    """The layout of the file according to the header.

    :param is_top_down: the first row is the top one.
    :param colors: offset of the colors.
    :param color_bytes: bytes per color: blue, green, red, and perhaps one that is not used.
    :param start: offset of the pixels, after the colors.
    """

    width: int
    height: int
    bits: int
    compression: int
    is_top_down: bool
    colors: int
    color_bytes: int
    start: int

    @property
    def row_bytes(self) -> int:
        """The bytes of a row that is not compressed, with its padding."""
        return (self.width * self.bits + 31) // 32 * 4


def indexed_bmp(head: bytes) -> IndexedBmp | None:
    """Return the layout of a BMP with a palette; ``None`` for another.

    :raises DamagedError: it has no pixels, or too many colors.
    """
    start, size = struct.unpack_from("<II", head, 10)
    compression = used = 0
    if size in (_OS2_HEADER, _SHORT_OS2_HEADER):
        width, height, _, bits = struct.unpack_from("<HHHH" if size == _OS2_HEADER else "<IIHH", head, 18)
    else:
        width, height, _, bits, compression, used = struct.unpack_from("<iiHHI12xI", head, 18)
    if bits not in _BITS or compression not in (_NONE, _RLE_8, _RLE_4):
        return None
    colors, color_bytes = _FILE_HEADER + size, 3 if size == _OS2_HEADER else 4
    if width <= 0 or not height or used > _MOST_STORED:
        raise DamagedError(sentence("its header is invalid"))
    if start <= colors:  # some programs do not count the colors
        start = colors + color_bytes * (used or 2**bits)
    return IndexedBmp(width, abs(height), bits, compression, height < 0, colors, color_bytes, start)


def pixels_of(source: Path, layout: IndexedBmp) -> pyvips.Image:
    """Return the decoded pixels.

    :raises DamagedError: pixels are missing.
    """
    return decoded(source.read_bytes(), layout)


def decoded(content: bytes, layout: IndexedBmp) -> pyvips.Image:
    """Return the pixels in the bytes of a file, gray if all colors are. Those that are skipped have the first color.

    :raises DamagedError: pixels are missing.
    """
    stored = content[layout.start :]
    if layout.compression == _NONE:
        indexes = _uncompressed(stored, layout)
    else:
        unpacked = _indexes(stored, layout.width, layout.height, half=layout.compression == _RLE_4)
        indexes = numpy.frombuffer(unpacked, "uint8").reshape(layout.height, layout.width)
    indexes = indexes if layout.is_top_down else indexes[::-1]
    palette = _palette(content[layout.colors : layout.start], layout.color_bytes)
    is_gray = (palette == palette[:, :1]).all()
    made = pyvips.Image.new_from_array((palette[:, 0] if is_gray else palette)[indexes])
    return made.copy(interpretation="b-w" if is_gray else "srgb")


def _palette(stored: bytes, color_bytes: int) -> numpy.ndarray:
    """Return red, green and blue of each number; numbers without a color are black."""
    count = min(len(stored) // color_bytes, _MOST_COLORS)
    palette = numpy.zeros((_MOST_COLORS, 3), "uint8")
    palette[:count] = numpy.frombuffer(stored, "uint8", count * color_bytes).reshape(count, -1)[:, 2::-1]
    return palette


def _uncompressed(stored: bytes, layout: IndexedBmp) -> numpy.ndarray:
    """Return the color numbers, the first row first; the padding of the last row may be missing."""
    used, whole = (layout.width * layout.bits + 7) // 8, layout.row_bytes * layout.height
    _bytes(stored, 0, whole - layout.row_bytes + used)
    rows = numpy.frombuffer(stored[:whole].ljust(whole, b"\0"), "uint8").reshape(layout.height, -1)[:, :used]
    shifts = numpy.arange(8 - layout.bits, -1, -layout.bits, dtype="uint8")
    parts: numpy.ndarray = rows[..., None] >> shifts & (2**layout.bits - 1)
    return parts.reshape(layout.height, -1)[:, : layout.width]


def _indexes(content: bytes, width: int, height: int, *, half: bool) -> bytearray:
    """Return the color numbers of the pixels, the first row first; those of skipped pixels are 0.

    A run continues in the next row, as in ImageMagick, until an end of line. OpenCV refuses a run that crosses the end
    of a row, and Pillow leaves its rest out.

    :param half: a byte contains two color numbers of four bits.
    :raises ImageError: there are too many ends of lines, jumps and absolute runs, which are read one by one.
    """
    indexes = bytearray(width * height)
    read = row = place = parts = 0
    while place < len(indexes):
        if runs := _RUNS.match(content, read):
            read = runs.end()
            place = _paint(indexes, place, _colors(runs[0], half=half))
            continue
        parts += 1
        if parts > _MOST_PARTS:
            raise _too_many_parts()
        _, value = _bytes(content, read, 2)
        read += 2
        if value == _END_OF_LINE:
            row += 1
            place = row * width
        elif value == _END_OF_BITMAP:
            break
        elif value == _DELTA:
            right, up = _bytes(content, read, 2)
            read += 2
            row += up
            place += right + up * width
        else:
            stored = _bytes(content, read, (value + 1) // 2 if half else value)
            read += len(stored) + len(stored) % 2
            place = _paint(indexes, place, _halves(stored)[:value] if half else stored)
    return indexes


def _too_many_parts() -> ImageError:
    return ImageError(
        counted(
            "The compression of this BMP has more than {parts} part: save it without compression.",
            "The compression of this BMP has more than {parts} parts: save it without compression.",
            "parts",
            parts=_MOST_PARTS,
        ),
        Cause.IMAGE_UNSUPPORTED,
    )


def _colors(runs: bytes, *, half: bool) -> bytes:
    """Return the color numbers of runs, each a count and a value."""
    if len(runs) == _RUN_BYTES:  # NumPy takes longer for a single run
        return (_halves(runs[1:]) * 128)[: runs[0]] if half else runs[1:] * runs[0]
    counts, values = numpy.frombuffer(runs, "uint8").reshape(-1, _RUN_BYTES).T
    colors = values.repeat(counts)
    if half:
        starts = counts.cumsum(dtype="int64") - counts
        is_low = (numpy.arange(len(colors)) - starts.repeat(counts)) % 2
        colors = numpy.where(is_low, colors & 15, colors >> 4)
    return colors.tobytes()


def _bytes(content: bytes, start: int, count: int) -> bytes:
    found = content[start : start + count]
    if len(found) < count:
        raise DamagedError(sentence("the file is truncated"))
    return found


def _halves(stored: bytes) -> bytes:
    return bytes.fromhex("0" + "0".join(stored.hex())) if stored else b""


def _paint(indexes: bytearray, place: int, colors: bytes) -> int:
    """Set the color numbers from this place; return the place after them."""
    end = place + len(colors)
    indexes[place:end] = colors[: len(indexes) - place]
    return end
