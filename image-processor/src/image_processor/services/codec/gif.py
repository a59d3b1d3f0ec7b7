"""Makes the unpainted parts of a GIF's canvas transparent, which libvips shows in an opaque color (GIF89a)."""

import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy
import pyvips
from numpy.typing import NDArray

from image_processor.imaging.color import alike

_EXTENSION, _IMAGE, _GRAPHIC_CONTROL = 0x21, 0x2C, 0xF9
_SIDES = struct.Struct("<HHHH")
_HEADER_BYTES, _SCREEN_BYTES, _IMAGE_BYTES = 6, 7, 9
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


def with_gaps(frames: Sequence[pyvips.Image], source: Path, pages: Sequence[int]) -> Sequence[pyvips.Image]:
    """Return the frames with transparency where no frame has painted, as browsers show them.

    :param pages: the numbers of the frames in the file, from 0, ascending.
    """
    width, height = frames[0].width, frames[0].height
    areas = _areas_of(source, pages[-1] + 1)
    if _have_no_gaps(areas, width, height):
        return frames
    shown = dict(zip(pages, frames, strict=True))
    for page, painted in enumerate(_painted(areas, width, height)):
        if page in shown and not painted.all():
            shown[page] = _masked(shown[page], painted)
    return alike(list(shown.values()))


def _areas_of(source: Path, frames: int) -> Sequence[_Area]:
    """Return the areas of the first frames; fewer if the file is truncated or corrupt."""
    with source.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return list(islice(_areas(content), frames))


def _areas(content: mmap) -> Iterator[_Area]:
    place = _HEADER_BYTES + _SCREEN_BYTES + _color_bytes(content[_HEADER_BYTES + 4])
    disposal = 0
    while place + _IMAGE_BYTES < len(content):
        if content[place] == _EXTENSION:
            if content[place + 1] == _GRAPHIC_CONTROL:
                disposal = content[place + 3] >> 2 & 7
            place = _after_blocks(content, place + 2)
        elif content[place] == _IMAGE:
            left, top, width, height = _SIDES.unpack_from(content, place + 1)
            yield _Area(left, top, width, height, disposal)
            disposal = 0
            # One byte, the code size, stands before the blocks.
            place = _after_blocks(content, place + _IMAGE_BYTES + _color_bytes(content[place + _IMAGE_BYTES]) + 2)
        else:
            return


def _color_bytes(flags: int) -> int:
    """Return the size of the color table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(content: mmap, place: int) -> int:
    while place < len(content) and content[place]:
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
