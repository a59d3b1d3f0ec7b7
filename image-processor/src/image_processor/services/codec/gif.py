"""Checks a GIF's frames, and makes the parts of the canvas that none has painted transparent (GIF89a).

libvips reports no damage of the pixels, and shows unpainted parts in an opaque color.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy
import pyvips
from numpy.typing import NDArray
from PIL import Image
from service_kit.texts import sentence

from image_processor.imaging.color import alike
from image_processor.services.codec.errors import ImageError

_EXTENSION, _IMAGE, _TRAILER, _PADDING = 0x21, 0x2C, 0x3B, 0
_GRAPHIC_CONTROL = 0xF9
_SIGNATURE = b"GIF8"
_DESCRIPTOR = struct.Struct("<HHHHB")
_HEADER_BYTES, _SCREEN_BYTES = 6, 7
_RESTORE_TO_BACKGROUND, _RESTORE_TO_PREVIOUS = 2, 3

_Mask: TypeAlias = NDArray[numpy.bool_]


class _Area(NamedTuple):
    """The rectangle that a frame paints, and what becomes of it before the next frame (its disposal method)."""

    left: int
    top: int
    width: int
    height: int
    disposal: int

    def covers(self, width: int, height: int) -> bool:
        """Return whether the frame paints a whole canvas of this size."""
        return not self.left and not self.top and self.width >= width and self.height >= height

    @property
    def place(self) -> tuple[slice, slice]:
        """The rectangle as an index of an array of rows."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def checked(frames: Sequence[pyvips.Image], source: Path, pages: Sequence[int], of: int) -> Sequence[pyvips.Image]:
    """Return the frames with transparency where no frame has painted, as browsers show them.

    :param pages: the numbers of the frames in the file, from 0, ascending.
    :param of: the number of frames that libvips found in the file.
    :raises ImageError: one of these frames, or one before them, is truncated or corrupt.
    """
    width, height = frames[0].width, frames[0].height
    # After the last frame, read on: libvips does not count a frame whose beginning is truncated.
    areas = _areas_of(source, width * height, None if pages[-1] + 1 == of else pages[-1] + 1)
    if _have_no_gaps(areas, width, height):
        return frames
    shown = dict(zip(pages, frames, strict=True))
    for page, painted in enumerate(_painted(areas, width, height)):
        if page in shown and not painted.all():
            shown[page] = _masked(shown[page], painted)
    return alike(list(shown.values()))


def _areas_of(source: Path, pixels: int, count: int | None) -> Sequence[_Area]:
    """Return the areas of the first ``count`` frames, after checking their pixels.

    :param pixels: the number of pixels of the canvas.
    """
    with source.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        try:
            return list(islice(_areas(content, pixels), count))
        except (IndexError, struct.error) as error:
            raise _damaged(sentence("the file is truncated")) from error


def _areas(content: mmap, pixels: int) -> Iterator[_Area]:
    place = _HEADER_BYTES + _SCREEN_BYTES + _color_bytes(content[_HEADER_BYTES + 4])
    disposal = 0
    # Many readers accept a file that ends without its trailer.
    while place < len(content) and content[place] != _TRAILER:
        kind, place = content[place], place + 1
        if kind == _EXTENSION:
            if content[place] == _GRAPHIC_CONTROL:
                disposal = content[place + 2] >> 2 & 7
            place = _after_blocks(content, place + 1)
        elif kind == _IMAGE:
            left, top, width, height, flags = _DESCRIPTOR.unpack_from(content, place)
            start = place + _DESCRIPTOR.size + _color_bytes(flags)
            place = _after_blocks(content, start + 1)
            if width * height <= pixels:
                _check(width, height, content[start], content[start + 1 : place])
            yield _Area(left, top, width, height, disposal)
            disposal = 0
        elif content[place - 1 : place - 1 + len(_SIGNATURE)] == _SIGNATURE:  # another GIF follows
            return
        elif kind != _PADDING:
            raise _damaged(sentence("the file is truncated or corrupt"))


def _check(width: int, height: int, code_size: int, blocks: bytes) -> None:
    """Check that the blocks of a frame hold all its pixels."""
    try:
        Image.frombytes("L", (width, height), blocks, "gif", code_size, 0)
    except ValueError as error:
        raise _damaged(sentence("its compressed pixels are corrupt")) from error


def _damaged(reason: str) -> ImageError:
    return ImageError(sentence("The image cannot be decoded: {reason}.", reason=reason))


def _color_bytes(flags: int) -> int:
    """Return the size of the color table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(content: mmap, place: int) -> int:
    while content[place]:
        place += 1 + content[place]
    return place + 1


def _have_no_gaps(areas: Sequence[_Area], width: int, height: int) -> bool:
    """Return whether all is painted, if that can be seen without painting."""
    return not areas or (
        areas[0].covers(width, height) and all(area.disposal != _RESTORE_TO_BACKGROUND for area in areas[:-1])
    )


def _painted(areas: Sequence[_Area], width: int, height: int) -> Iterator[_Mask]:
    """Yield what is painted while each frame is shown; a mask is valid until the next one."""
    painted = numpy.zeros((height, width), bool)
    for area in areas:
        before = painted[area.place].copy() if area.disposal == _RESTORE_TO_PREVIOUS else False
        painted[area.place] = True
        yield painted
        if area.disposal in (_RESTORE_TO_BACKGROUND, _RESTORE_TO_PREVIOUS):
            painted[area.place] = before


def _masked(frame: pyvips.Image, painted: _Mask) -> pyvips.Image:
    mask = pyvips.Image.new_from_array(painted.astype("uint8") * 255)
    if not frame.hasalpha():
        return frame.bandjoin(mask).copy(interpretation=frame.interpretation)
    *colors, alpha = frame.bandsplit()
    return colors[0].bandjoin([*colors[1:], alpha & mask]).copy(interpretation=frame.interpretation)
