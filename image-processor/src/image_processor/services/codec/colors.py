"""Finds color spaces that a file describes without an ICC profile: by PNG chunks, AVIF's box or stream, or EXIF."""

import struct
from collections.abc import Mapping
from pathlib import Path

import pyvips
from service_kit.texts import sentence

from image_processor.imaging.color import is_gray
from image_processor.imaging.profiles import (
    SRGB,
    Primaries,
    TransferFunction,
    means_srgb,
    small_profile,
    suits,
    without_tail,
)
from image_processor.services.causes import Cause
from image_processor.services.codec.avif import colors_of_stream
from image_processor.services.codec.errors import ImageError, high_dynamic_range
from image_processor.services.codec.png import chunks_before_pixels

PROFILE = "icc-profile-data"
_LIKE_SRGB = (43_182, 47_727)
"""Range of gAMA values (times 100,000) that count as sRGB: 1/2.2 within five percent, as in libpng."""
_GAMMAS_OF_PNG = (16, 625_000_000)
"""Range of plausible gAMA values (times 100,000), as in libpng."""
_PRIMARIES = {  # ITU-T H.273, table 2
    **dict.fromkeys((1, 2), SRGB),
    4: Primaries((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: Primaries((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    8: Primaries((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), (0.310, 0.316)),
    9: Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    22: Primaries((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
"""Without 10, the colors of CIE XYZ, and the reserved ones; 2 is unknown."""
_TRANSFER_FUNCTIONS = {  # ITU-T H.273, table 3; like browsers, treat video transfer functions as sRGB
    **dict.fromkeys((1, 2, 6, 7, 11, 12, 13, 14, 15), TransferFunction(None)),
    4: TransferFunction(2.2),
    5: TransferFunction(2.8),
    8: TransferFunction(1.0),
}
"""Without logarithms (9 and 10), digital cinema (17) and the reserved ones; 2 is unknown."""
_HIGH_DYNAMIC_RANGE = (16, 18)
"""The transfer functions PQ and HLG (ITU-T H.273, table 3)."""
_ADOBE_RGB = Primaries((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), TransferFunction(563 / 256)
"""Adobe RGB (1998), 4.3."""
_DESCRIBED_BY_EXIF = ("jpeg", "webp", "png", "tiff")
_CHUNKS = frozenset({b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"})
"""Chunks of a PNG that describe its colors, and count before its EXIF."""
_GRAY_OR_RGB = ("b-w", "grey16", "srgb", "rgb16", "multiband")
_COLOR_SPACE, _INTEROPERABILITY = "exif-ifd2-ColorSpace", "exif-ifd4-"
_HEAD_OF_AVIF = 65_536


def with_described_colors(image: pyvips.Image, source: Path, format_name: str) -> pyvips.Image:
    """Return the image with an ICC profile for the colors that its file describes by other means.

    A profile that cannot be read, or is for colors of another kind, counts as missing, so that no result contains it.

    :raises ImageError: the colors have high dynamic range, or no small profile describes them.
    """
    image = _without_useless_profile(image)
    described: tuple[Primaries, TransferFunction] | None = None
    chunks = chunks_before_pixels(source) if format_name == "png" else {}
    if format_name == "png":
        described = _of_png(chunks, has_profile=bool(image.get_typeof(PROFILE)))
    elif format_name == "avif" and not image.get_typeof(PROFILE):
        described = _of_avif(source)
    by_exif = format_name in _DESCRIBED_BY_EXIF and not image.get_typeof(PROFILE) and not _CHUNKS & chunks.keys()
    if by_exif and is_adobe_rgb_by_exif(image):
        described = _ADOBE_RGB
    profile: bytes | None = None
    if described is not None:
        profile = small_profile(*described, gray=is_gray(image))
        profile = None if means_srgb(profile) else profile
    elif image.get_typeof(PROFILE):
        stored = bytes(image.get(PROFILE))
        profile = without_tail(stored) if without_tail(stored) != stored else None
    if profile is None:
        return image
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, PROFILE, profile)
    return image


def _without_useless_profile(image: pyvips.Image) -> pyvips.Image:
    if not image.get_typeof(PROFILE) or suits(bytes(image.get(PROFILE)), image):
        return image
    image = image.copy()
    image.remove(PROFILE)
    return image


def is_adobe_rgb_by_exif(image: pyvips.Image) -> bool:
    """Return whether a camera's EXIF specifies Adobe RGB (CIPA DC-008, 4.6.6 and 4.8; DCF 2.0, "option file")."""
    if image.interpretation not in _GRAY_OR_RGB or image.format not in ("uchar", "ushort"):
        return False
    space = _text(image, _COLOR_SPACE)
    return space == "2" or (space != "1" and _text(image, f"{_INTEROPERABILITY}InteroperabilityIndex") == "R03")


def with_exif_of_srgb(image: pyvips.Image) -> pyvips.Image:
    """Return the image with sRGB as the color space in its EXIF."""
    image = image.copy()
    image.set_type(pyvips.GValue.gstr_type, _COLOR_SPACE, "1 (sRGB, Short, 1 components, 2 bytes)")
    for field in image.get_fields():
        if field.startswith(_INTEROPERABILITY):
            image.remove(field)
    return image


def _text(image: pyvips.Image, field: str) -> str:
    """Return the field's value without the explanation that libvips appends."""
    return str(image.get(field)).split(" ")[0] if image.get_typeof(field) else ""


def _of_png(chunks: Mapping[bytes, bytes], *, has_profile: bool) -> tuple[Primaries, TransferFunction] | None:
    """Return the colors that the chunks define, by priority (PNG, third edition, 12.1); None if sRGB or undefined."""
    coded = chunks.get(b"cICP", b"")
    if len(coded) == 4 and coded[2] == 0:
        if not coded[3]:
            detail = sentence("The samples of this PNG have a limited range, which is not supported: save it in sRGB.")
            raise ImageError(detail, Cause.IMAGE_UNSUPPORTED)
        return coded_colors(coded[0], coded[1], "PNG")
    if has_profile or b"sRGB" in chunks:
        return None
    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big")
    gamma = gamma if _GAMMAS_OF_PNG[0] <= gamma <= _GAMMAS_OF_PNG[1] else 0
    points = [value / 100_000 for (value,) in struct.iter_unpack(">I", chunks.get(b"cHRM", b"").ljust(32, b"\0")[:32])]
    if not gamma and not all(points):
        return None
    (white, red, green, blue) = zip(points[::2], points[1::2], strict=True)
    primaries = Primaries(red, green, blue, white)
    primaries = primaries if primaries.are_real() else SRGB
    if not gamma or (_LIKE_SRGB[0] <= gamma <= _LIKE_SRGB[1] and primaries == SRGB):
        return primaries, TransferFunction(None)
    return primaries, TransferFunction(100_000 / gamma)


def _of_avif(source: Path) -> tuple[Primaries, TransferFunction] | None:
    with source.open("rb") as file:
        head = file.read(_HEAD_OF_AVIF)
    place = head.find(b"colrnclx")
    if place < 0:  # then the stream may describe them (MIAF, 7.3.6.4)
        coded = colors_of_stream(source)
        return None if coded is None else coded_colors(*coded, "AVIF")
    if len(head) < place + 12:
        return None
    primaries, transfer = struct.unpack_from(">HH", head, place + 8)
    return coded_colors(primaries, transfer, "AVIF")


def coded_colors(primaries: int, transfer: int, format_name: str) -> tuple[Primaries, TransferFunction]:
    """Return the colors for these H.273 code points.

    :raises ImageError: a small profile cannot describe them.
    """
    if transfer in _HIGH_DYNAMIC_RANGE:
        raise high_dynamic_range(format_name)
    if primaries not in _PRIMARIES or transfer not in _TRANSFER_FUNCTIONS:
        detail = sentence(
            "The colors of this {format} (primaries {primaries} and transfer function {transfer} of ITU-T H.273) are"
            " not supported: save it in sRGB.",
            format=format_name,
            primaries=primaries,
            transfer=transfer,
        )
        raise ImageError(detail, Cause.IMAGE_UNSUPPORTED)
    return _PRIMARIES[primaries], _TRANSFER_FUNCTIONS[transfer]
