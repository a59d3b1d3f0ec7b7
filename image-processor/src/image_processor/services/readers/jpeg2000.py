"""Reads JPEG 2000, as a file with boxes (JP2) or a bare codestream."""

import struct
from functools import partial
from pathlib import Path

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

_HEADER = 64 * 1024
_CODING_STYLE = b"\xff\x52"
_FIRST_TILE = b"\xff\x90"
_CODESTREAM = b"\xff\x4f\xff\x51"
_SYCC = b"colr\1\0\0\0\0\0\x12"
_CMYK = 12
_READ_SPACES = (0, _CMYK, 15, 16, 17, 18, 20)
"""Numbers of color spaces that are read: bilevel, CMYK, sRGB, gray, sYCC and e-sRGB (ISO/IEC 15444-2, M.11.7.3.1)."""
_PALETTE, _CHANNELS = b"pclr", b"cdef"
_COLOR, _ALPHA, _PREMULTIPLIED = 0, 1, 2
"""Types of channels; others are spare (ISO/IEC 15444-1, I.5.3.6)."""
_MOST_COMPONENTS = 4
_DECODING_BYTES = 4 * (4 + 2)
"""Bytes of memory per pixel while decoding: four samples of 32 bits in OpenJPEG and of 16 bits in the result."""


def open_image(source: Path) -> Opened:
    """Return the image with 8 or 16 bits.

    :raises ImageError: its components cannot be read.
    """
    with source.open("rb") as file:
        head = file.read(_HEADER)
    _refuse_unread(head)
    bits = _bits(head)
    with Image.open(source, formats=["JPEG2000"]) as image:
        width, height = image.size
    metadata = Metadata(profile=_profile(head))
    pixels = partial(_pixels, source) if bits is None else partial(_scaled_pixels, source, head, bits, width * height)
    # imagecodecs returns up to four bands of 16 bits; Pillow returns 16 bits only for gray images.
    is_deep = bits is not None and bits > 8
    return Opened("jp2", width, height, _is_lossless(head), pixels, metadata, pixel_bytes=8 if is_deep else 4)


def _bits(head: bytes) -> int | None:
    """Return the bits of the samples if imagecodecs must decode them; ``None`` if Pillow can.

    Pillow reduces more than 8 bits to 8, except in a gray image, and makes white too dark with fewer than 8 bits. It
    ignores the order of the channels, and loses alpha in a palette. Sizes of components: ISO/IEC 15444-1, A.5.1.

    :raises ImageError: there are too many components, or they have fewer than 8 bits and other peculiarities.
    """
    boxes, _, stream = head.partition(_CODESTREAM)
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
        return _bits_of_palette(boxes)
    is_plain = len(sizes) == 1 and _SYCC not in boxes
    depth, across, down = next(iter(sizes), b"\0\0\0")
    if is_plain and depth < 16 and across == down == 1:
        return None if bits == {8} and _CHANNELS not in boxes else depth + 1
    if bits and min(bits) < 8:
        raise _differing()
    return None


def _bits_of_palette(boxes: bytes) -> int:
    """Return the bits of the colors in a palette (ISO/IEC 15444-1, I.5.3.4).

    :raises ImageError: the colors differ in depth.
    """
    palette = boxes.partition(_PALETTE)[2]
    depths = set(palette[3 : 3 + palette[2]])
    if len(depths) != 1 or max(depths) >= 16:
        raise _differing()
    return max(depths) + 1


def _differing() -> ImageError:
    return ImageError(
        sentence("The components of this JPEG 2000 differ in depth or size: save it with 8 bits each."),
        Cause.IMAGE_UNSUPPORTED,
    )


def _refuse_unread(head: bytes) -> None:
    """Check the color space.

    :raises ImageError: the colors would be taken for RGB.
    """
    space = _space(head)
    if space is not None and space not in _READ_SPACES:
        raise ImageError(
            sentence(
                "The color space of this JPEG 2000 (number {space}) is not supported: save it as RGB.", space=space
            ),
            Cause.IMAGE_UNSUPPORTED,
        )


def _space(head: bytes) -> int | None:
    """Return the number of the color space; ``None`` if it has none, or another box describes the colors."""
    _, found, color = head.partition(_CODESTREAM)[0].partition(b"colr")
    return int.from_bytes(color[3:7], "big") if found and color[:1] == b"\x01" else None


def _scaled_pixels(source: Path, head: bytes, bits: int, pixels: int) -> pyvips.Image:
    bytearray(_DECODING_BYTES * pixels)  # raises MemoryError early: OpenJPEG does not report a lack of memory
    try:
        array = imagecodecs.jpeg2k_decode(source.read_bytes(), numthreads=1)
    except imagecodecs.Jpeg2kError as error:  # its message only names a function of OpenJPEG
        raise DamagedError(sentence("its pixels cannot be decoded")) from error
    image = pyvips.Image.new_from_array(numpy.ascontiguousarray(array))
    white, kind = (65535, "ushort") if bits > 8 else (255, "uchar")
    spaces = ("grey16", "rgb16") if bits > 8 else ("b-w", "srgb")
    scaled = (image * (white / (2**bits - 1))).rint().cast(kind)
    is_cmyk = _space(head) == _CMYK and image.bands >= 4
    return _channels(scaled.copy(interpretation="cmyk" if is_cmyk else spaces[image.bands > 2]), head)


def _channels(image: pyvips.Image, head: bytes) -> pyvips.Image:
    """Return the image without spare channels, and with its colors divided by alpha if they are multiplied by it.

    OpenJPEG has sorted the channels: first the colors.
    """
    content = head.partition(_CODESTREAM)[0].partition(_CHANNELS)[2]
    stored = content[2 : 2 + 6 * int.from_bytes(content[:2], "big")]
    kinds = [kind for _, kind, _ in struct.iter_unpack(">HHH", stored[: len(stored) // 6 * 6])]
    has_alpha = _ALPHA in kinds or _PREMULTIPLIED in kinds
    if not kinds or image.bands < kinds.count(_COLOR) + has_alpha:
        return image
    used = image[0 : kinds.count(_COLOR) + has_alpha].copy(interpretation=image.interpretation)
    if _PREMULTIPLIED not in kinds:
        return used
    return used.unpremultiply().rint().cast(image.format).copy(interpretation=image.interpretation)


def _pixels(source: Path) -> pyvips.Image:
    with Image.open(source, formats=["JPEG2000"]) as image:
        return from_pillow(image)


def _is_lossless(head: bytes) -> bool:
    """Return whether the wavelet transform is the reversible 5-3 (ISO/IEC 15444-1, A.6.1)."""
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
