"""Reads PSD: the flattened picture with 8 or 16 bits (Adobe Photoshop File Formats Specification)."""

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import imagecodecs
import numpy
import pyvips
from service_kit.texts import counted, sentence

from image_processor.services.causes import Cause
from image_processor.services.codec.cielab import from_cielab
from image_processor.services.codec.errors import ImageError
from image_processor.services.readers.metadata import Metadata
from image_processor.services.readers.opened import DamagedError, Opened

_HEADER = struct.Struct(">4sH6xHIIHH")
_LARGE_DOCUMENT = 2
_BITMAP, _GRAY, _INDEXED, _RGB, _CMYK, _MULTICHANNEL, _DUOTONE, _LAB = 0, 1, 2, 3, 4, 7, 8, 9
_COLORS = {_BITMAP: 1, _GRAY: 1, _INDEXED: 1, _RGB: 3, _CMYK: 4, _DUOTONE: 1, _LAB: 3}
"""Number of color channels by color mode; other channels are alpha or saved selections."""
_IPTC, _PROFILE, _TRANSPARENT_INDEX, _EXIF, _XMP = 1028, 1039, 1047, 1058, 1060
"""Numbers of image resources."""
_LAYERS = (b"Lr16", b"Lr32")
_TRANSPARENCY = (b"Mt16", b"Mt32", b"Mtrn")
"""Keys of blocks: layers of 16-bit or 32-bit pictures, and the mark of a flattened picture with transparency."""
_RAW, _PACKBITS = 0, 1
_MOST_BLOCKS = 1000
_AT_ONCE = 1024 * 1024
"""Number of samples computed together."""


@dataclass(frozen=True)
class _File:
    """The properties stored before the pixels.

    :param has_alpha: the first channel after the colors is the alpha of the flattened picture.
    :param is_on_white: the colors were blended with white where the picture is transparent.
    :param start: offset of the flattened picture.
    """

    channels: int
    width: int
    height: int
    bits: int
    mode: int
    palette: bytes
    resources: Mapping[int, bytes]
    has_alpha: bool
    is_on_white: bool
    start: int

    @property
    def used(self) -> int:
        """The number of channels that the picture needs."""
        return _COLORS[self.mode] + self.has_alpha

    @property
    def row_bytes(self) -> int:
        return (self.width * self.bits + 7) // 8


def open_image(source: Path) -> Opened:
    """Return the flattened picture.

    :raises ImageError: its kind is not supported.
    """
    with source.open("rb") as file:
        read = _read(file)
    resources = read.resources
    profile = None if read.mode == _LAB else resources.get(_PROFILE)
    # Like Pillow and the file storage, do not turn the pixels: editors have turned those of a photograph.
    metadata = Metadata(resources.get(_EXIF), resources.get(_XMP), profile, is_upright=True, iptc=resources.get(_IPTC))
    pixel_bytes = 16 if read.mode == _LAB else max(4, read.used * read.bits // 8)
    pixels = partial(_pixels, source, read)
    return Opened(
        "psd", read.width, read.height, lossless=True, pixels=pixels, metadata=metadata, pixel_bytes=pixel_bytes
    )


def _read(file: IO[bytes]) -> _File:
    _, version, channels, height, width, bits, mode = _HEADER.unpack(file.read(_HEADER.size))
    _refuse_unread(version, bits, mode)
    if channels < _COLORS[mode] or not width or not height:
        raise DamagedError(sentence("its header is invalid"))
    palette = _section(file)
    resources = dict(_resources(_section(file)))
    (length,) = struct.unpack(">I", file.read(4))
    start = file.tell() + length
    layers, is_marked = _layers(file, start) if length else (0, False)
    # A picture without layers does not declare the meaning of its fourth channel.
    has_alpha = channels > _COLORS[mode] and (layers < 0 or is_marked or not length)
    is_on_white = has_alpha and length > 0 and mode in (_GRAY, _DUOTONE, _RGB)
    return _File(channels, width, height, bits, mode, palette, resources, has_alpha, is_on_white, start)


def _refuse_unread(version: int, bits: int, mode: int) -> None:
    """Check the kind of the picture.

    :raises ImageError: the kind is not supported.
    """
    if version == _LARGE_DOCUMENT:
        raise ImageError(
            sentence("A PSB (a large document of Photoshop) is not supported: save it as PSD."), Cause.IMAGE_UNSUPPORTED
        )
    if mode == _MULTICHANNEL:
        raise ImageError(
            sentence("A PSD in multichannel mode is not supported: save it as RGB, gray or CMYK."),
            Cause.IMAGE_UNSUPPORTED,
        )
    if mode not in _COLORS or bits not in ((1,) if mode == _BITMAP else (8, 16)):
        raise ImageError(
            counted(
                "A PSD with {bits} bit per channel is not supported: save it with 8 or 16 bits.",
                "A PSD with {bits} bits per channel is not supported: save it with 8 or 16 bits.",
                "bits",
                bits=bits,
            ),
            Cause.IMAGE_UNSUPPORTED,
        )


def _section(file: IO[bytes]) -> bytes:
    (length,) = struct.unpack(">I", file.read(4))
    return _content(file, length)


def _content(file: IO[bytes], length: int) -> bytes:
    """Read at most that many bytes, without reserving memory for bytes that the file does not have."""
    return file.read(max(0, min(length, os.fstat(file.fileno()).st_size - file.tell())))


def _resources(section: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while section[place : place + 4] == b"8BIM":
        (number,) = struct.unpack_from(">H", section, place + 4)
        place += 6 + (section[place + 6] + 2) // 2 * 2  # a name with a length byte, padded to an even size
        (length,) = struct.unpack_from(">I", section, place)
        yield number, section[place + 4 : place + 4 + length]
        place += 4 + (length + 1) // 2 * 2


def _layers(file: IO[bytes], end: int) -> tuple[int, bool]:
    """Return the number of layers, negative with transparency, and whether the picture is marked as transparent."""
    (length,) = struct.unpack(">I", file.read(4))
    start = file.tell()
    count = _count(file) if length else 0
    file.seek(start + length)
    (masks,) = struct.unpack(">I", file.read(4).ljust(4, b"\0"))
    place, is_marked = file.tell() + masks, False
    for _ in range(_MOST_BLOCKS):
        if place + 12 > end:
            break
        file.seek(place)
        signature, key, size = struct.unpack(">4s4sI", file.read(12).ljust(12, b"\0"))
        if signature != b"8BIM":
            break
        if key in _LAYERS and size:
            count = _count(file)
        is_marked = is_marked or key in _TRANSPARENCY
        place += 12 + (size + 3) // 4 * 4
    return count, is_marked


def _count(file: IO[bytes]) -> int:
    return int(struct.unpack(">h", file.read(2))[0])


def _pixels(source: Path, read: _File) -> pyvips.Image:
    with source.open("rb") as file:
        file.seek(read.start)
        planes = [_plane(content, read) for content in _contents(file, read)]
    if read.mode == _INDEXED:
        return _indexed(planes[0], read)
    if read.mode == _CMYK:  # 0 is full ink
        planes[:4] = [~plane for plane in planes[:4]]
    if read.is_on_white:
        planes[:-1] = [_without_white(plane, planes[-1]) for plane in planes[:-1]]
    image = pyvips.Image.new_from_array(numpy.dstack(planes))
    if read.mode == _LAB:
        if read.bits == 16 and read.has_alpha:
            image = image[0:3].bandjoin(image[3] / 257)
        return from_cielab(image.cast("ushort" if read.bits == 16 else "uchar"), signed=False)
    kind = {_RGB: ("srgb", "rgb16"), _CMYK: ("cmyk", "cmyk")}.get(read.mode, ("b-w", "grey16"))
    return image.copy(interpretation=kind[read.bits == 16])


def _contents(file: IO[bytes], read: _File) -> Iterator[bytes]:
    """Yield the bytes of each channel that the picture needs.

    :raises DamagedError: the bytes are missing, corrupt or compressed in another way.
    """
    (compression,) = struct.unpack(">H", file.read(2))
    size = read.row_bytes * read.height
    if compression == _RAW:
        lengths = [size] * read.used
    elif compression == _PACKBITS:
        table = _content(file, 2 * read.channels * read.height)
        if len(table) < 2 * read.channels * read.height:
            raise DamagedError(sentence("the file is truncated"))
        rows = numpy.frombuffer(table, ">u2")
        lengths = [int(length) for length in rows.reshape(read.channels, read.height).sum(axis=1)][: read.used]
    else:
        raise DamagedError(sentence("its flattened picture is missing, or its compression is unknown"))
    for length in lengths:
        content = _content(file, length)
        if compression == _PACKBITS:
            content = _unpacked(content)
        if len(content) != size:
            raise DamagedError(sentence("the file is truncated or corrupt"))
        yield content


def _unpacked(content: bytes) -> bytes:
    try:
        return bytes(imagecodecs.packbits_decode(content))
    except imagecodecs.PackbitsError as error:  # its message only names a function
        raise DamagedError(sentence("the file is truncated or corrupt")) from error


def _plane(content: bytes, read: _File) -> numpy.ndarray:
    """Return a channel as rows of samples, in the machine's byte order."""
    if read.bits == 16:
        return numpy.frombuffer(content, ">u2").reshape(read.height, read.width).astype("uint16")
    samples = numpy.frombuffer(content, "uint8").reshape(read.height, read.row_bytes)
    if read.bits == 1:  # 1 is black
        return (1 - numpy.unpackbits(samples, axis=1)[:, : read.width]) * numpy.uint8(255)
    return samples


def _without_white(plane: numpy.ndarray, alpha: numpy.ndarray) -> numpy.ndarray:
    """Return the colors before they were blended with white, as ImageMagick does."""
    white = numpy.iinfo(plane.dtype).max
    made = plane.ravel().copy()
    # In parts, because the floating-point numbers of a whole channel need more memory than the picture.
    for first in range(0, made.size, _AT_ONCE):
        part = made[first : first + _AT_ONCE]
        shares = alpha.ravel()[first : first + _AT_ONCE]
        opacity = numpy.maximum(shares, 1).astype("float64") / white
        pure = (part - white * (1 - opacity)) / opacity
        part[:] = numpy.where(shares > 0, numpy.rint(pure).clip(0, white), part)
    return made.reshape(plane.shape)


def _indexed(plane: numpy.ndarray, read: _File) -> pyvips.Image:
    palette = numpy.frombuffer(read.palette[:768].ljust(768, b"\0"), "uint8").reshape(3, 256).T
    colors = palette[plane]
    transparent = read.resources.get(_TRANSPARENT_INDEX, b"")
    if len(transparent) == 2:
        visible = plane != int.from_bytes(transparent, "big")
        colors = numpy.dstack([colors, visible * numpy.uint8(255)])
    return pyvips.Image.new_from_array(numpy.ascontiguousarray(colors)).copy(interpretation="srgb")
