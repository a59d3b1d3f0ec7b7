"""PSD: pixels of every mode, depth and compression compared with the written ones; the choice of the alpha channel."""

import io
import struct
import tracemalloc
from collections.abc import Sequence

import imagecodecs
import numpy
import pytest
import tifffile
from image_processor.imaging.profiles import Primaries, TransferFunction, small_profile
from image_processor.services.codec.decoding import ImageError
from PIL import Image, ImageCms

from tests.support.algorithm_runs import processed
from tests.support.images import opened

SHAPE = 24, 40
BITMAP, GRAY, INDEXED, RGB, CMYK, LAB = 0, 1, 2, 3, 4, 9
LAYERS = 1
WITH_TRANSPARENCY = -1
"""Numbers of layers; a negative number means that the flattened picture has transparency."""
ALPHA = numpy.tile(numpy.linspace(60, 255, SHAPE[1]).astype("uint8"), (SHAPE[0], 1))


def noise(bands: int, bits: int = 8) -> numpy.ndarray:
    return numpy.random.default_rng(bands).integers(0, 2**bits, (bands, *SHAPE), f"uint{bits}")


def psd(
    mode: int,
    planes: Sequence[numpy.ndarray] | numpy.ndarray,
    *,
    bits: int = 8,
    packed: bool = False,
    layers: int | None = None,
    palette: bytes = b"",
    resources: bytes = b"",
) -> bytes:
    """Return a PSD (Adobe Photoshop File Formats Specification).

    :param layers: the number of layers; with ``None`` their section is empty.
    """
    rows = [row.astype(row.dtype.newbyteorder(">")).tobytes() for plane in planes for row in plane]
    if packed:
        rows = [bytes(imagecodecs.packbits_encode(row)) for row in rows]
        rows.insert(0, b"".join(struct.pack(">H", len(row)) for row in rows))
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, len(planes), *SHAPE, bits, mode)
    section = b"" if layers is None else struct.pack(">Ih", 2, layers)
    parts = [struct.pack(">I", len(part)) + part for part in (palette, resources, section)]
    return header + b"".join(parts) + struct.pack(">H", packed) + b"".join(rows)


def shown(source: bytes, **params: object) -> numpy.ndarray:
    return numpy.asarray(opened(processed(source, "convert", {"format": "png", **params}))).astype(int)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("mode", "bands"), [(GRAY, 1), (RGB, 3)])
def test_sixteen_bits_are_kept(mode: int, bands: int, *, packed: bool) -> None:
    planes = noise(bands, 16)

    result = processed(psd(mode, planes, bits=16, packed=packed), "convert", {"format": "tiff"})

    assert (tifffile.imread(io.BytesIO(result)) == numpy.moveaxis(planes, 0, -1).squeeze()).all()


@pytest.mark.parametrize("mode", [CMYK, LAB])
def test_sixteen_bits_of_other_colors_look_like_eight(mode: int) -> None:
    planes = [plane // 4 + 96 for plane in noise(4 if mode == CMYK else 3)]
    deep = [plane.astype("uint16") * 257 for plane in planes]

    eight, sixteen = (shown(source, profile="srgb") for source in (psd(mode, planes), psd(mode, deep, bits=16)))

    assert eight.std() > 5
    assert numpy.abs(eight - sixteen).mean() < 1.5


def test_1_is_black_in_a_bitmap() -> None:
    black = noise(1)[0] > 127

    assert (shown(psd(BITMAP, [numpy.packbits(black, axis=1)], bits=1)) == ~black * 255).all()


def test_an_index_can_be_transparent() -> None:
    palette = numpy.random.default_rng(1).integers(0, 256, (3, 256), "uint8")
    indices = noise(1)[0] % 16
    transparent = b"8BIM" + struct.pack(">HHIH", 1047, 0, 2, 5)

    result = shown(psd(INDEXED, [indices], palette=palette.tobytes(), resources=transparent))

    assert (result[..., 3] == (indices != 5) * 255).all()
    assert (result[indices != 5][:, :3] == palette.T[indices[indices != 5]]).all()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("mode", "bands"), [(GRAY, 1), (RGB, 3), (CMYK, 4), (LAB, 3)])
def test_transparency_of_every_mode_is_kept(mode: int, bands: int, *, packed: bool) -> None:
    source = psd(mode, [*noise(bands), ALPHA], layers=WITH_TRANSPARENCY, packed=packed)

    assert (shown(source, profile="srgb")[..., -1] == ALPHA).all()


@pytest.mark.parametrize(("mode", "bands"), [(GRAY, 1), (RGB, 3)])
def test_a_saved_selection_is_not_transparency(mode: int, bands: int) -> None:
    planes = noise(bands)

    result = shown(psd(mode, [*planes, ALPHA], layers=LAYERS))

    assert (result == numpy.moveaxis(planes, 0, -1).squeeze()).all()


def test_half_transparent_colors_have_no_white_in_them() -> None:
    color, opacity = numpy.array([200, 40, 90]), ALPHA / 255
    on_white = [numpy.rint(value * opacity + 255 * (1 - opacity)).astype("uint8") for value in color]

    result = shown(psd(RGB, [*on_white, ALPHA], layers=WITH_TRANSPARENCY))

    assert numpy.abs(result[..., :3] - color).max() <= 3


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.99])
def test_a_picture_that_is_cut_short_is_damaged(kept: float, *, packed: bool) -> None:
    source = psd(RGB, noise(3), packed=packed)

    with pytest.raises(ImageError, match=r"^The image is damaged: the file is truncated"):
        shown(source[: int(len(source) * kept)])


def test_another_compression_of_the_picture_is_an_error_that_says_so() -> None:
    source = psd(RGB, noise(3))
    pixels = 3 * SHAPE[0] * SHAPE[1]

    with pytest.raises(ImageError, match="its flattened picture is missing, or its compression is unknown"):
        shown(source[: -pixels - 2] + b"\0\2" + source[-pixels:])


def test_the_error_for_32_bits_names_them() -> None:
    source = bytearray(psd(RGB, noise(3)))
    source[22:24] = struct.pack(">H", 32)

    with pytest.raises(ImageError, match=r"^A PSD with 32 bits per channel is not supported: save it with 8 or 16"):
        shown(bytes(source))


def test_a_false_length_reserves_no_memory() -> None:
    source = bytearray(psd(RGB, noise(3)))
    source[26:30] = b"\xff" * 4
    tracemalloc.start()

    try:
        with pytest.raises(ImageError, match="truncated"):
            shown(bytes(source))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 2**30


def test_a_large_document_is_refused_by_its_name() -> None:
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 2, 3, 8, 8, 8, 3)

    with pytest.raises(ImageError, match=r"A PSB .* is not supported: save it as PSD"):
        processed(header + bytes(64), "info")


def test_a_gray_picture_has_the_tones_of_its_profile() -> None:
    profile = small_profile(Primaries((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), TransferFunction(1.0), gray=True)
    resource = b"8BIM" + struct.pack(">HHI", 1039, 0, len(profile)) + profile + bytes(len(profile) % 2)
    planes = noise(1)
    in_littlecms = ImageCms.profileToProfile(
        Image.fromarray(planes[0]), io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )

    result = shown(psd(GRAY, planes, resources=resource), profile="srgb")

    assert in_littlecms is not None
    assert numpy.abs(result.reshape(*SHAPE, -1) - numpy.asarray(in_littlecms)).max() <= 1
