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

_EXTENSION, _IMAGE, _TRAILER, _PADDING = 0x21, 0x2C, 0x3B, b"\0\r\n "
_GRAPHIC_CONTROL = 0xF9
_SIGNATURE = b"GIF8"
_DESCRIPTOR = struct.Struct("<HHHHB")
_HAS_COLORS, _IS_INTERLACED, _HAS_TRANSPARENT_COLOR = 0x80, 0x40, 1
_HEADER_BYTES, _SCREEN_BYTES = 6, 7
_RESTORE_TO_BACKGROUND, _RESTORE_TO_PREVIOUS = 2, (3, 4)
"""Disposal methods. 4 is not defined; browsers and libvips treat it as 3."""

_Mask: TypeAlias = NDArray[numpy.bool_]


class _Frame(NamedTuple):
    """A frame: the rectangle of the canvas that it paints, and where its compressed pixels begin and end.

    :param disposal: what becomes of the rectangle before the next frame.
    :param transparent: the number of the color that paints nothing.
    :param start: of the code size, which precedes the blocks.
    """

    left: int
    top: int
    width: int
    height: int
    disposal: int
    transparent: int | None
    is_interlaced: bool
    start: int
    end: int

    def covers(self, width: int, height: int) -> bool:
        """Return whether the frame's rectangle contains a whole canvas of this size."""
        return not self.left and not self.top and self.width >= width and self.height >= height


def checked(images: Sequence[pyvips.Image], source: Path, pages: Sequence[int], of: int) -> Sequence[pyvips.Image]:
    """Return the images of frames with transparency where no frame has painted, as browsers show them.

    :param pages: the numbers of the frames in the file, from 0, ascending.
    :param of: the number of frames that libvips found in the file.
    :raises ImageError: one of these frames, or one before them, is truncated or corrupt, or libvips did not find all.
    """
    width, height = images[0].width, images[0].height
    with source.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        # After the last frame, read on: libvips does not count a frame whose beginning is truncated.
        frames = list(islice(_frames(content), of + 1 if pages[-1] + 1 == of else pages[-1] + 1))
        if len(frames) > of:
            raise _damaged(sentence("the file is truncated or corrupt"))
        for frame in frames:
            if frame.width * frame.height <= width * height:
                _indexes(frame, content)
        if _have_no_gaps(frames, width, height):
            return images
        shown = dict(zip(pages, images, strict=True))
        for page, painted in enumerate(_painted(frames, content, width, height)):
            if page in shown and not painted.all():
                shown[page] = _masked(shown[page], painted)
        return alike(list(shown.values()))


def _frames(content: mmap) -> Iterator[_Frame]:
    """Yield the frames in the order of the file.

    :raises ImageError: the file ends within a frame, or something unknown follows one.
    """
    try:
        yield from _frames_of_whole(content)
    except (IndexError, struct.error) as error:
        raise _damaged(sentence("the file is truncated")) from error


def _frames_of_whole(content: mmap) -> Iterator[_Frame]:
    place = _HEADER_BYTES + _SCREEN_BYTES + _color_bytes(content[_HEADER_BYTES + 4])
    disposal, transparent = 0, None
    # Many readers accept a file that ends without its trailer.
    while place < len(content) and content[place] != _TRAILER:
        kind, place = content[place], place + 1
        if kind == _EXTENSION:
            if content[place] == _GRAPHIC_CONTROL:
                disposal = content[place + 2] >> 2 & 7
                transparent = content[place + 5] if content[place + 2] & _HAS_TRANSPARENT_COLOR else None
            place = _after_blocks(content, place + 1)
        elif kind == _IMAGE:
            left, top, width, height, flags = _DESCRIPTOR.unpack_from(content, place)
            start = place + _DESCRIPTOR.size + _color_bytes(flags)
            place = _after_blocks(content, start + 1)
            is_interlaced = bool(flags & _IS_INTERLACED)
            yield _Frame(left, top, width, height, disposal, transparent, is_interlaced, start, place)
            disposal, transparent = 0, None
        elif content[place - 1 : place - 1 + len(_SIGNATURE)] == _SIGNATURE:  # another GIF follows
            return
        elif kind not in _PADDING:
            raise _damaged(sentence("the file is truncated or corrupt"))


def _indexes(frame: _Frame, content: mmap) -> NDArray[numpy.uint8]:
    """Return the color numbers of a frame's pixels, height × width.

    :raises ImageError: the frame does not have all of its pixels.
    """
    code_size, blocks = content[frame.start], content[frame.start + 1 : frame.end]
    size = frame.width, frame.height
    try:
        return numpy.asarray(Image.frombytes("L", size, blocks, "gif", code_size, int(frame.is_interlaced)))
    except ValueError as error:
        raise _damaged(sentence("its compressed pixels are corrupt")) from error


def _damaged(reason: str) -> ImageError:
    return ImageError(sentence("The image cannot be decoded: {reason}.", reason=reason))


def _color_bytes(flags: int) -> int:
    """Return the size of the color table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & _HAS_COLORS else 0


def _after_blocks(content: mmap, place: int) -> int:
    while content[place]:
        place += 1 + content[place]
    return place + 1


def _have_no_gaps(frames: Sequence[_Frame], width: int, height: int) -> bool:
    """Return whether the images of libvips are right, if that can be seen without painting."""
    return not frames or (
        frames[0].covers(width, height)
        and frames[0].disposal not in _RESTORE_TO_PREVIOUS
        and all(frame.disposal != _RESTORE_TO_BACKGROUND for frame in frames[:-1])
    )


def _painted(frames: Sequence[_Frame], content: mmap, width: int, height: int) -> Iterator[_Mask]:
    """Yield what is painted while each frame is shown; a mask is valid until the next one."""
    painted = numpy.zeros((height, width), bool)
    for frame in frames:
        area = painted[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
        before = area.copy() if frame.disposal in _RESTORE_TO_PREVIOUS else False
        area |= _opaque(frame, content, width * height)[: area.shape[0], : area.shape[1]]
        yield painted
        if frame.disposal in (_RESTORE_TO_BACKGROUND, *_RESTORE_TO_PREVIOUS):
            area[:] = before


def _opaque(frame: _Frame, content: mmap, most: int) -> _Mask:
    """Return which pixels of its rectangle the frame paints; all if it has more than ``most`` pixels."""
    if frame.transparent is None or frame.width * frame.height > most:
        return numpy.broadcast_to(numpy.True_, (frame.height, frame.width))
    opaque: _Mask = _indexes(frame, content) != frame.transparent
    return opaque


def _masked(image: pyvips.Image, painted: _Mask) -> pyvips.Image:
    mask = pyvips.Image.new_from_array(painted.astype("uint8") * 255)
    if not image.hasalpha():
        return image.bandjoin(mask).copy(interpretation=image.interpretation)
    *colors, alpha = image.bandsplit()
    return colors[0].bandjoin([*colors[1:], alpha & mask]).copy(interpretation=image.interpretation)
