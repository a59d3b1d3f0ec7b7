"""Reads the colors that a BMP describes: an ICC profile, or primaries and gamma (BITMAPV4HEADER, BITMAPV5HEADER)."""

import struct
from pathlib import Path

from image_processor.imaging.profiles import (
    SRGB,
    Point,
    Primaries,
    TransferFunction,
    means_srgb,
    small_profile,
    without_tail,
)

_FILE_HEADER = 14
_WITH_PRIMARIES, _WITH_PROFILE = 108, 124
"""Sizes of the headers of versions 4 and 5."""
HEAD = _FILE_HEADER + _WITH_PROFILE
_SPACE, _PRIMARIES, _GAMMA, _PROFILE = (_FILE_HEADER + offset for offset in (56, 60, 96, 112))
"""Offsets of bV5CSType, bV5Endpoints, bV5GammaRed and bV5ProfileData."""
_CALIBRATED, _EMBEDDED = 0, int.from_bytes(b"MBED")
_FIXED_POINT_30, _FIXED_POINT_16 = 2**30, 2**16
_GAMMAS = (0.1, 10)
"""Range of plausible gammas."""
_LONGEST_PROFILE = 16_000_000


def profile_of(source: Path, head: bytes) -> bytes | None:
    """Return the ICC profile of the BMP, or a small one for its primaries and gamma; ``None`` for sRGB.

    A profile in another file is ignored.
    """
    size = int.from_bytes(head[_FILE_HEADER : _FILE_HEADER + 4], "little")
    if size < _WITH_PRIMARIES or len(head) < _FILE_HEADER + size:
        return None
    (space,) = struct.unpack_from("<I", head, _SPACE)
    if space == _EMBEDDED and size >= _WITH_PROFILE:
        return _embedded(source, *struct.unpack_from("<II", head, _PROFILE))
    return _calibrated(head) if space == _CALIBRATED else None


def _embedded(source: Path, offset: int, length: int) -> bytes | None:
    with source.open("rb") as file:
        file.seek(_FILE_HEADER + offset)
        profile = file.read(length) if length <= _LONGEST_PROFILE else b""
    return without_tail(profile) if profile and len(profile) == length else None


def _calibrated(head: bytes) -> bytes | None:
    """Return the profile for red, green and blue in CIE XYZ and the gamma of each.

    The header has no white; browsers take that of sRGB.
    """
    values = [value / _FIXED_POINT_30 for value in struct.unpack_from("<9i", head, _PRIMARIES)]
    points = [_point(*values[place : place + 3]) for place in (0, 3, 6)]
    powers = [value / _FIXED_POINT_16 for value in struct.unpack_from("<3I", head, _GAMMA)]
    transfers = [TransferFunction(power if _GAMMAS[0] <= power <= _GAMMAS[1] else None) for power in powers]
    red, green, blue = points
    primaries = SRGB if red is None or green is None or blue is None else Primaries(red, green, blue)
    if not primaries.are_real():
        primaries = SRGB
    profile = small_profile(primaries, *transfers, gray=False)
    return None if means_srgb(profile) else profile


def _point(x: float, y: float, z: float) -> Point | None:
    """Return the chromaticity; ``None`` if the numbers are not those of a color."""
    return (x / (x + y + z), y / (x + y + z)) if min(x, y, z) >= 0 and y > 0 else None
