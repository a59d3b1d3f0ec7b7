"""Colors that a BMP describes, compared with LittleCMS and with the formulas of the standards."""

import io
import struct
from collections.abc import Sequence

import numpy
import pytest
import pyvips
from PIL import Image, ImageCms
from skimage.color import xyz2rgb

from tests.support.algorithm_runs import processed
from tests.support.images import opened, pixels

COLOR = (200, 100, 40)
P3 = bytes(pyvips.Image.profile_load("p3"))
SRGB_XYZ = [[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]]
P3_XYZ = [[0.4866, 0.2290, 0.0], [0.2657, 0.6917, 0.0451], [0.1982, 0.0793, 1.0439]]
"""Red, green and blue (IEC 61966-2-1, and CSS Color 4, 17)."""


def bmp(
    space: bytes,
    kind: str = "RGB",
    *,
    profile: bytes = b"",
    endpoints: Sequence[Sequence[float]] = ((0,) * 3,) * 3,
    gammas: Sequence[float] = (0, 0, 0),
    header: int = 124,
) -> bytes:
    """Return a BMP of one color with a header of version 4 or 5; of kind "gray", its palette is gray."""
    blue_first = bytes(reversed(COLOR))
    bits, compression, colors, row, masks = {
        "RGB": (24, 0, b"", blue_first * 8, bytes(16)),
        "indexed": (8, 0, blue_first + b"\0", bytes(8), bytes(16)),
        "gray": (8, 0, bytes([COLOR[0]] * 3) + b"\0", bytes(8), bytes(16)),
        "masked": (32, 3, b"", (blue_first + b"\0") * 8, struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0)),
    }[kind]
    head = struct.pack("<IiiHHIIiiII", header, 8, 8, 1, bits, compression, len(row) * 8, 0, 0, len(colors) // 4, 0)
    head += masks + space + struct.pack("<9i", *(round(value * 2**30) for point in endpoints for value in point))
    head += struct.pack("<3I", *(round(gamma * 2**16) for gamma in gammas))
    start = header + len(colors) + len(row) * 8
    head += struct.pack("<4I", 4, start, len(profile), 0) if header > 108 else b""
    body = head + colors + row * 8
    return b"BM" + struct.pack("<IHHI", 14 + len(body) + len(profile), 0, 0, 14 + header + len(colors)) + body + profile


def by_little_cms(color: tuple[int, int, int]) -> tuple[int, ...]:
    converted = ImageCms.profileToProfile(
        Image.new("RGB", (1, 1), color), io.BytesIO(P3), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert converted is not None
    return tuple(numpy.asarray(converted)[0, 0].tolist())


@pytest.mark.parametrize("kind", ["RGB", "indexed", "masked", "gray"])
def test_the_embedded_profile_is_applied(kind: str) -> None:
    source = bmp(b"DEBM", kind, profile=P3)
    expected = by_little_cms((COLOR[0],) * 3 if kind == "gray" else COLOR)

    stripped = pixels(processed(source, "convert", {"format": "png", "profile": "strip"}))
    kept = opened(processed(source, "convert", {"format": "png"}))

    assert numpy.abs(stripped[4, 4] - expected).max() <= 1
    assert kept.info["icc_profile"] == P3


@pytest.mark.parametrize("header", [108, 124])
@pytest.mark.parametrize("gammas", [(1.0, 1.0, 1.0), (1.8, 1.8, 1.8), (2.2, 1.0, 1.4)])
@pytest.mark.parametrize("endpoints", [SRGB_XYZ, P3_XYZ])
@pytest.mark.parametrize("kind", ["RGB", "indexed", "masked"])
def test_primaries_and_gammas_are_applied(
    kind: str, endpoints: list[list[float]], gammas: tuple[float, float, float], header: int
) -> None:
    source = bmp(b"\0\0\0\0", kind, endpoints=endpoints, gammas=gammas, header=header)

    result = pixels(processed(source, "convert", {"format": "png", "profile": "strip"}))

    light = (numpy.array(COLOR) / 255) ** gammas
    assert numpy.abs(result[4, 4] - xyz2rgb(light @ numpy.array(endpoints)) * 255).max() <= 2


SRGB = {
    "sRGB": bmp(b"BGRs"),
    "the colors of Windows": bmp(b" niW"),
    "a profile in another file": bmp(b"KNIL", profile=b"C:\\p3.icc\0"),
    "no primaries": bmp(b"\0\0\0\0"),
    "no primaries, impossible gammas": bmp(b"\0\0\0\0", gammas=(60_000, 0, 0.01)),
    "primaries on a line": bmp(b"\0\0\0\0", endpoints=[[0.3, 0.3, 0.3]] * 3),
    "negative primaries": bmp(b"\0\0\0\0", endpoints=[[-0.5, 0.5, 0.5], *SRGB_XYZ[1:]]),
    "the primaries and gamma of sRGB": bmp(b"\0\0\0\0", endpoints=SRGB_XYZ),
    "a profile behind the end": bmp(b"DEBM", profile=P3)[:-1],
    "a damaged profile": bmp(b"DEBM", profile=bytes(200)),
}


@pytest.mark.parametrize("kind", SRGB)
def test_other_colors_are_srgb(kind: str) -> None:
    result = opened(processed(SRGB[kind], "convert", {"format": "png", "profile": "strip"}))

    assert result.getpixel((4, 4)) == COLOR
    assert "icc_profile" not in result.info
