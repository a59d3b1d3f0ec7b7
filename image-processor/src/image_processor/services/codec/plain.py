"""Decodes ordinary JPEGs without libvips, whose pipelines cost more than the work on a few pixels.

The pixels equal those of libvips' own loader, which uses the same decoder. Unusual files, and files for which
libjpeg-turbo gives a warning, are left to libvips.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy
import pyvips
import simplejpeg
from service_kit.texts import sentence

from image_processor.imaging.arrays import Pixels
from image_processor.imaging.later import LaterFrame
from image_processor.imaging.picture import Picture, Plain
from image_processor.imaging.profiles import is_readable, means_srgb
from image_processor.imaging.scaling import resampled
from image_processor.imaging.source import Source
from image_processor.services.codec import tiff
from image_processor.services.codec.decoding import Decoded
from image_processor.services.codec.limits import ImageLimits, check_decoded_bytes, check_pixels
from image_processor.services.readers.pillow import Image

_START, _SCAN = b"\xff\xd8\xff", b"\xff\xda"
_PROGRESSIVE = 0xC2
_FRAMES = (0xC0, 0xC1, _PROGRESSIVE)
"""Markers of baseline, extended and progressive images (ISO/IEC 10918-1, B.2.2)."""
_OTHER_FRAMES = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_BEFORE_PIXELS = range(0xC0, 0xFF)
_SCAN_MARKER, _EXIF_MARKER, _PROFILE_MARKER = 0xDA, 0xE1, 0xE2
_EXIF, _PROFILE = b"Exif\0\0", b"ICC_PROFILE\0"
_XMP, _PHOTOSHOP = b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
_WORDS_OF_CREDITS = (b"creator", b"rights", b"\x1c\x02\x50", b"\x1c\x02\x74")
"""Names in XMP, and headers of By-line and Copyright Notice in IPTC. False matches in other files only cost time."""
_CLASSIC = (b"", b"II*\0", b"MM\0*")
"""First bytes of EXIF, if present. libvips does not read BigTIFF there."""
_WHOLE_PROFILE = b"\1\1"
"""Number and count of chunks for a profile stored in a single chunk."""
_MOST_SEGMENTS = 1000
_MOST_SCANS = 100
"""Maximum number of scans of a progressive image: each costs as much as a whole image, and libvips refuses more."""
_MOST_BYTES = 32_000_000
"""Maximum size of a file, because files are read as a whole."""
_MOST_PIXELS = 4_000_000
"""Maximum number of decoded pixels; larger images are better streamed than held in memory."""
_FEW_PIXELS = 50_000
"""Number of decoded pixels up to which Pillow resamples faster than libvips sets up a pipeline."""
_COLOR_SPACE, _ADOBE_RGB, _INTEROPERABILITY_OF_ADOBE_RGB = 40961, 2, b"R03"
_POWERS = (8, 4, 2, 1)
"""Factors by which the decoder shrinks most cheaply."""


@dataclass(frozen=True)
class _Head:
    """The properties in the segments before the pixels; width and height are those of the stored image."""

    width: int
    height: int
    bands: int
    orientation: int
    profile: bytes | None
    has_credits: bool


def plain_jpeg(source: Path, limits: ImageLimits, wanted: Source, whole: Callable[[], Decoded]) -> Decoded | None:
    """Return an ordinary JPEG without decoding its pixels yet.

    :param whole: decodes the file with libvips, for callers that need more than a few pixels.
    :returns: ``None`` if the file is anything else.
    :raises ImageError: the image exceeds a limit.
    """
    content = _content(source)
    head = None if content is None or wanted.page is not None else _head(content)
    if content is None or head is None:
        return None
    check_pixels(head.width * head.height, limits, sentence("The image has"))
    check_decoded_bytes(head.width * head.height * head.bands, limits, sentence("The image has"))
    orientation = head.orientation if wanted.upright else 1
    sides = (head.height, head.width) if orientation > 4 else (head.width, head.height)
    decoded = cache(whole)

    def shrink(factor: float) -> pyvips.Image:
        picture = decoded().picture
        return picture.first if picture.shrink is None else picture.shrink(factor)

    plain = Plain(
        small=lambda width, height: _small(content, head, orientation, width, height),
        pixels=None,
        profile=head.profile,
        is_srgb=head.profile is None or means_srgb(head.profile),
        has_credits=head.has_credits,
    )
    return Decoded(Picture(LaterFrame(lambda: decoded().picture.first), *sides, shrink=shrink, plain=plain), "jpeg")


def _content(source: Path) -> bytes | None:
    """Return the bytes of a JPEG; ``None`` if the file is not a JPEG or too large."""
    with source.open("rb") as file:
        if file.read(len(_START)) != _START or not len(_START) < file.seek(0, io.SEEK_END) < _MOST_BYTES:
            return None
        file.seek(0)
        return file.read()


def _head(content: bytes) -> _Head | None:
    """Read the segments before the pixels; return ``None`` if one is unusual."""
    frame, exif, profile = b"", b"", None
    is_progressive = has_credits = False
    place = 2
    for _ in range(_MOST_SEGMENTS):
        head = content[place : place + 4]
        if len(head) < 4 or head[0] != 0xFF or head[1] not in _BEFORE_PIXELS or head[1] in _OTHER_FRAMES:
            return None
        segment = content[place + 4 : place + 2 + int.from_bytes(head[2:], "big")]
        place += 4 + len(segment)
        match head[1]:
            case marker if marker in _FRAMES:
                frame, is_progressive = segment, marker == _PROGRESSIVE
            case marker if marker == _EXIF_MARKER and segment.startswith(_EXIF) and not exif:
                exif = segment.removeprefix(_EXIF)
            case _ if segment.startswith((_XMP, _PHOTOSHOP)):
                has_credits = has_credits or any(word in segment for word in _WORDS_OF_CREDITS)
            case marker if marker == _PROFILE_MARKER and segment.startswith(_PROFILE):
                profile = _profile(segment.removeprefix(_PROFILE))
                if profile is None:
                    return None
            case marker if marker == _SCAN_MARKER:
                if is_progressive and content.count(_SCAN) > _MOST_SCANS:
                    return None
                return _of_segments(frame, exif, profile, has_credits=has_credits)
    return None


def _profile(piece: bytes) -> bytes | None:
    """Return a readable RGB profile that is stored in a single chunk without trailing bytes."""
    profile = piece.removeprefix(_WHOLE_PROFILE)
    is_usual = piece.startswith(_WHOLE_PROFILE) and profile[16:20] == b"RGB "
    is_usual = is_usual and int.from_bytes(profile[:4], "big") == len(profile)
    return profile if is_usual and is_readable(profile) else None


def _of_segments(frame: bytes, exif: bytes, profile: bytes | None, *, has_credits: bool) -> _Head | None:
    if len(frame) < 6 or frame[0] != 8 or frame[5] not in (1, 3):
        return None
    height, width, bands = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big"), frame[5]
    if not width or not height or (profile is not None and bands != 3):
        return None
    if exif[:4] not in _CLASSIC or _INTEROPERABILITY_OF_ADOBE_RGB in exif:
        return None
    described = tiff.described(io.BytesIO(exif)) if exif else tiff.Described(tiff.Directory("<"))
    if described is None or list(described.image.tags).count(tiff.ORIENTATION) > 1:
        return None
    photo = described.photo or tiff.Directory("<")
    if photo.number(_COLOR_SPACE) == _ADOBE_RGB:
        return None
    orientation = described.image.number(tiff.ORIENTATION) or 1
    named = {*described.image.tags, *photo.tags}
    has_credits = has_credits or tiff.ARTIST in named or tiff.COPYRIGHT in named
    return _Head(width, height, bands, orientation if orientation <= 8 else 1, profile, has_credits)


def _small(content: bytes, head: _Head, orientation: int, width: int, height: int) -> Pixels | None:
    """Return the upright image at this width and height; ``None`` leaves it to libvips."""
    wide, high = (height, width) if orientation > 4 else (width, height)
    if wide > head.width or high > head.height:
        return None
    power = next(power for power in _POWERS if power * wide <= head.width and power * high <= head.height)
    stored = -(-head.width // power), -(-head.height // power)
    is_exact = head.width % power == head.height % power == 0
    if stored[0] * stored[1] > (_MOST_PIXELS if is_exact else _FEW_PIXELS):
        return None
    try:
        decoded: Pixels = simplejpeg.decode_jpeg(
            content, "GRAY" if head.bands == 1 else "RGB", min_width=stored[0], min_height=stored[1], strict=True
        )
    except ValueError:
        return None
    if decoded.shape != (stored[1], stored[0], head.bands):
        return None
    return _upright(_resampled(decoded, wide, high, (head.width / power, head.height / power)), orientation)


def _resampled(pixels: Pixels, width: int, height: int, box: tuple[float, float]) -> Pixels:
    """Return the pixels at this size.

    :param box: the part of the pixels that the image covers: the last row and column may be fractions of a pixel.
    """
    high, wide, bands = pixels.shape
    if (wide, high) == (width, height) == box:
        return pixels
    if wide * high <= _FEW_PIXELS:
        image = Image.fromarray(pixels[:, :, 0] if bands == 1 else pixels)
        made = image.resize((width, height), Image.Resampling.LANCZOS, box=(0, 0, *box))
        return numpy.asarray(made).reshape(height, width, bands)
    whole = pyvips.Image.new_from_memory(pixels, wide, high, bands, "uchar")
    made = resampled(whole, width, height, "lanczos3")
    return numpy.frombuffer(made.write_to_memory(), dtype="uint8").reshape(height, width, bands)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Return the pixels turned according to an EXIF orientation (CIPA DC-008, 4.6.4)."""
    if orientation > 4:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
