"""Reads JPEG 2000, as a file with boxes (JP2) or a bare codestream."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy
import pyvips
from service_kit.texts import counted, sentence

from image_processor.services.causes import Cause
from image_processor.services.codec.errors import ImageError
from image_processor.services.readers.metadata import Metadata
from image_processor.services.readers.opened import DamagedError, Opened
from image_processor.services.readers.pillow import Image
from image_processor.services.readers.raster import from_pillow

_BOX = struct.Struct(">I4s")
_TO_THE_END, _LONG = 0, 1
"""Lengths of a box that mean another (ISO/IEC 15444-1, I.4)."""
_MOST_BOXES = 10_000
_HEADER, _STREAM = b"jp2h", b"jp2c"
"""Boxes that describe the pixels, and that contain them."""
_DESCRIPTION = b"uuid"
_EXIF, _OTHER_EXIF = b"JpgTiffExif->JP2", bytes.fromhex("0537cdab9d0c4431a72afa561f2a113e")
_XMP, _IPTC = bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
"""The first bytes of boxes with metadata: of EXIF as ExifTool and as Photoshop write it, of XMP and of IPTC."""
_MARKS_OF_EXIF = (b"Exif\0\0", b"EXIF\0\0")
"""Some programs write one of these before EXIF."""
_LONGEST_DESCRIPTION = 4_000_000
"""Maximum size in bytes of a box with metadata; longer ones are skipped."""
_MAIN_HEADER = 64 * 1024
"""Bytes of the codestream that are searched for the main header."""
_CODING_STYLE = b"\xff\x52"
_FIRST_TILE = b"\xff\x90"
_CODESTREAM = b"\xff\x4f\xff\x51"
_CMYK, _SYCC = 12, 18
_READ_SPACES = (0, _CMYK, 15, 16, 17, 18, 20)
"""Numbers of color spaces that are read: bilevel, CMYK, sRGB, gray, sYCC and e-sRGB (ISO/IEC 15444-2, M.11.7.3.1)."""
_SPACE, _PALETTE, _CHANNELS = b"colr", b"pclr", b"cdef"
_COLOR, _ALPHA, _PREMULTIPLIED = 0, 1, 2
"""Types of channels; others are spare (ISO/IEC 15444-1, I.5.3.6)."""
_COLORS = 3
_MOST_COMPONENTS = 4
_DECODING_BYTES = 4 * (4 + 2)
"""Bytes of memory per pixel while decoding: four samples of 32 bits in OpenJPEG and of 16 bits in the result."""


class _FileParts(NamedTuple):
    """What a file says about its pixels.

    :param boxes: the first box of each name in the header box; none in a bare codestream.
    :param stream: the start of the codestream, after its own.
    :param metadata: EXIF, XMP and IPTC by the first bytes of their boxes.
    """

    boxes: Mapping[bytes, bytes]
    stream: bytes
    metadata: Mapping[bytes, bytes]

    @property
    def space(self) -> int | None:
        """The number of the color space; ``None`` if it has none, or an ICC profile describes the colors."""
        color = self.boxes.get(_SPACE, b"")
        return int.from_bytes(color[3:7], "big") if color[:1] == b"\x01" else None


def open_image(source: Path) -> Opened:
    """Return the image with 8 or 16 bits.

    :raises ImageError: its components cannot be read.
    """
    parts = _file_parts(source)
    _refuse_unread(parts.space)
    bits = _bits(parts)
    with Image.open(source, formats=["JPEG2000"]) as image:
        width, height = image.size
    metadata = _metadata(parts)
    scaled = partial(_scaled_pixels, source, parts, pixels=width * height)
    pixels = partial(_pixels, source) if bits is None else partial(scaled, bits)
    # imagecodecs returns up to four bands of 16 bits; Pillow returns 16 bits only for gray images.
    is_deep = bits is not None and bits > 8
    lossless = _is_lossless(parts.stream)
    return Opened("jp2", width, height, lossless, pixels, metadata, pixel_bytes=8 if is_deep else 4)


def _file_parts(source: Path) -> _FileParts:
    """Return what describes the pixels: the names of boxes also occur in the texts and profiles of others.

    :raises DamagedError: there is no codestream.
    """
    boxes, metadata, stream = dict[bytes, bytes](), dict[bytes, bytes](), b""
    with source.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        if content[: len(_CODESTREAM)] == _CODESTREAM:
            return _FileParts(boxes, content[len(_CODESTREAM) : _MAIN_HEADER], metadata)
        for name, start, end in islice(_boxes(content, 0, len(content)), _MOST_BOXES):
            if name == _STREAM and not stream:
                stream = content[start + len(_CODESTREAM) : min(end, start + _MAIN_HEADER)]
            elif name == _HEADER and not boxes:
                for inner, first, last in islice(_boxes(content, start, end), _MOST_BOXES):
                    boxes.setdefault(inner, content[first:last])
            elif name == _DESCRIPTION and end - start <= _LONGEST_DESCRIPTION:
                kind, place = content[start : start + len(_XMP)], start + len(_XMP)
                if kind in (_EXIF, _OTHER_EXIF, _XMP, _IPTC):
                    metadata.setdefault(kind, content[place:end])
    if not stream:
        raise DamagedError(sentence("its header is invalid"))
    return _FileParts(boxes, stream, metadata)


def _metadata(parts: _FileParts) -> Metadata:
    """Return the profile, EXIF, XMP and IPTC.

    The standard knows no orientation, and decoders do not turn pixels by the one in EXIF.
    """
    found = parts.metadata
    exif = found.get(_EXIF) or found.get(_OTHER_EXIF) or b""
    for mark in _MARKS_OF_EXIF:
        exif = exif.removeprefix(mark)
    profile = _profile(parts.boxes.get(_SPACE, b""))
    return Metadata(exif or None, found.get(_XMP), profile, is_upright=True, iptc=found.get(_IPTC))


def _boxes(content: mmap, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each box, and where its content begins and ends."""
    while place + _BOX.size <= end:
        length, name = _BOX.unpack_from(content, place)
        start = place + _BOX.size
        if length == _LONG:
            length = int.from_bytes(content[start : start + 8], "big")
            start += 8
        following = end if length == _TO_THE_END else place + length
        if following < start:
            return
        yield name, start, min(following, end)
        place = following


def _bits(parts: _FileParts) -> int | None:
    """Return the bits of the samples if imagecodecs must decode them; ``None`` if Pillow can.

    Pillow reduces more than 8 bits to 8, except in a gray image, and makes white too dark with fewer than 8 bits. It
    ignores the order of the channels, and loses alpha in a palette. Sizes of components: ISO/IEC 15444-1, A.5.1.

    :raises ImageError: there are too many components, or they have other than 8 bits and further peculiarities.
    """
    boxes, stream = parts.boxes, parts.stream
    components = int.from_bytes(stream[36:38], "big")
    if components > _MOST_COMPONENTS:
        raise ImageError(
            counted(
                "A JPEG 2000 with {components} component is not supported: save it as gray or RGB.",
                "A JPEG 2000 with {components} components is not supported: save it as gray or RGB.",
                "components",
                components=components,
            ),
            Cause.IMAGE_UNSUPPORTED,
        )
    sizes = {stream[38 + 3 * number : 41 + 3 * number].ljust(3, b"\0") for number in range(components)}
    bits = {depth % 128 + 1 for depth, *_ in sizes}
    if _PALETTE in boxes:
        return _bits_of_palette(boxes[_PALETTE])
    is_plain = len(sizes) == 1 and parts.space != _SYCC
    depth, across, down = next(iter(sizes), b"\0\0\0")
    if is_plain and depth < 16 and across == down == 1:
        return None if bits == {8} and _CHANNELS not in boxes else depth + 1
    if bits and min(bits) < 8:
        raise _differing()
    if components > 1 and max(bits) > 8:
        raise ImageError(
            sentence(
                "The components of this JPEG 2000 have more than 8 bits and are signed, YCC or of different sizes,"
                " which is not supported: save it as RGB."
            ),
            Cause.IMAGE_UNSUPPORTED,
        )
    return None


def _bits_of_palette(palette: bytes) -> int:
    """Return the bits of the colors in a palette (ISO/IEC 15444-1, I.5.3.4).

    :raises ImageError: the colors differ in depth.
    """
    depths = set(palette[3 : 3 + int.from_bytes(palette[2:3])])
    if len(depths) != 1 or max(depths) >= 16:
        raise _differing()
    return max(depths) + 1


def _differing() -> ImageError:
    return ImageError(
        sentence("The components of this JPEG 2000 differ in depth or size: save it with 8 bits each."),
        Cause.IMAGE_UNSUPPORTED,
    )


def _refuse_unread(space: int | None) -> None:
    """Check the color space.

    :raises ImageError: the colors would be taken for RGB.
    """
    if space is not None and space not in _READ_SPACES:
        raise ImageError(
            sentence(
                "The color space of this JPEG 2000 (number {space}) is not supported: save it as RGB.", space=space
            ),
            Cause.IMAGE_UNSUPPORTED,
        )


def _scaled_pixels(source: Path, parts: _FileParts, bits: int, *, pixels: int) -> pyvips.Image:
    bytearray(_DECODING_BYTES * pixels)  # raises MemoryError early: OpenJPEG does not report a lack of memory
    try:
        array = imagecodecs.jpeg2k_decode(source.read_bytes(), numthreads=1)
    except imagecodecs.Jpeg2kError as error:  # its message only names a function of OpenJPEG
        raise DamagedError(sentence("its pixels cannot be decoded")) from error
    array = array.reshape(*array.shape[:2], -1)
    is_cmyk = parts.space == _CMYK and array.shape[2] > _COLORS
    shown, is_premultiplied = _shown(parts.boxes.get(_CHANNELS, b""), array.shape[2], _COLORS + is_cmyk)
    image = pyvips.Image.new_from_array(numpy.ascontiguousarray(array[..., shown]))
    white, kind = (65535, "ushort") if bits > 8 else (255, "uchar")
    spaces = ("grey16", "rgb16") if bits > 8 else ("b-w", "srgb")
    space = "cmyk" if is_cmyk else spaces[image.bands > 2]
    scaled = (image * (white / (2**bits - 1))).rint().cast(kind).copy(interpretation=space)
    return scaled.unpremultiply().rint().cast(kind).copy(interpretation=space) if is_premultiplied else scaled


def _shown(definitions: bytes, count: int, most: int) -> tuple[Sequence[int], bool]:
    """Return which of the decoded channels are the colors and alpha, and whether alpha multiplies the colors.

    OpenJPEG exchanges channels until each color has its place, which also moves others (ISO/IEC 15444-1, I.5.3.6).

    :param count: the number of channels.
    :param most: maximum number of colors.
    """
    stored = definitions[2 : 2 + 6 * int.from_bytes(definitions[:2], "big")]
    rows = [row for row in struct.iter_unpack(">HHH", stored[: len(stored) // 6 * 6]) if row[0] < count]
    order = [*range(count)]
    for channel, kind, color in rows:
        if kind == _COLOR and 0 < color <= count:
            place = order.index(channel)
            order[place], order[color - 1] = order[color - 1], order[place]
    kinds = {order.index(channel): kind for channel, kind, _ in rows}
    alphas = sorted(place for place, kind in kinds.items() if kind in (_ALPHA, _PREMULTIPLIED))[:1]
    colors = sorted(place for place, kind in kinds.items() if kind == _COLOR)
    # Some programs give no channel a type.
    colors = colors or [place for place in sorted(kinds) if kinds[place] not in (_ALPHA, _PREMULTIPLIED)]
    if not colors:
        return range(count), False
    colors = colors[: most if len(colors) >= _COLORS else 1]
    return colors + alphas, any(kinds[place] == _PREMULTIPLIED for place in alphas)


def _pixels(source: Path) -> pyvips.Image:
    with Image.open(source, formats=["JPEG2000"]) as image:
        return from_pillow(image)


def _is_lossless(stream: bytes) -> bool:
    """Return whether the wavelet transform is the reversible 5-3 (ISO/IEC 15444-1, A.6.1)."""
    style = stream.partition(_FIRST_TILE)[0].partition(_CODING_STYLE)[2]
    return style[11:12] == b"\x01"


def _profile(color: bytes) -> bytes | None:
    """Return the ICC profile in the color specification box (ISO/IEC 15444-1, I.5.3.3)."""
    return color[3:] if color[:1] == b"\x02" else None
