"""BMP, ICO, JPEG 2000 and PSD: pixels against Pillow's, alpha, 16 bits, profiles, limits by the header, damage."""

import io
import struct
from pathlib import Path

import imagecodecs
import numpy
import pytest
import tifffile
from image_processor.services.codec.decoding import ImageError, Limits, decode
from image_processor.services.codec.plan import plan_of
from image_processor.services.codec.process import process_image
from PIL import Image, ImageCms

from tests.support.algorithm_runs import LIMITS, processed, report
from tests.support.images import encoded, opened, photo, pixels

KEPT = {"format": "png"}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def psd(image: Image.Image, profile: bytes = b"") -> bytes:
    """A PSD without layers, its picture uncompressed (Adobe Photoshop File Formats Specification)."""
    modes = {"L": 1, "LA": 1, "RGB": 3, "RGBA": 3, "CMYK": 4, "LAB": 9}
    bands = image.split()
    resources = b""
    if profile:
        resources = b"8BIM" + struct.pack(">HHI", 1039, 0, len(profile)) + profile + bytes(len(profile) % 2)
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, len(bands), image.height, image.width, 8, modes[image.mode])
    inverted = [band.point(lambda value: 255 - value) for band in bands] if image.mode == "CMYK" else bands
    planes = b"".join(band.tobytes() for band in inverted)
    return header + struct.pack(">II", 0, len(resources)) + resources + struct.pack(">IH", 0, 0) + planes


def ico(image: Image.Image, **options: object) -> bytes:
    return encoded(image, "ICO", sizes=[image.size], **options)


def colorful(mode: str = "RGB") -> Image.Image:
    image = opened(photo(mode="RGB")).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


SOURCES = {
    "bmp": encoded(colorful(), "BMP"),
    "ico": ico(colorful("RGBA")),
    "ico of a bitmap": ico(colorful("RGBA"), bitmap_format="bmp"),
    "jp2": encoded(colorful(), "JPEG2000"),
    "j2k": encoded(colorful(), "JPEG2000", no_jp2=True),
    "psd": psd(colorful()),
}


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("codec", ["jp2", "j2k"])
def test_deep_colors_of_jpeg_2000_stay_deep(codec: str, bands: int, bits: int) -> None:
    image = numpy.random.default_rng(bits).integers(0, 2**bits, (40, 64, bands), "uint16")
    source = bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat=codec, reversible=True, bitspersample=bits))

    result = processed(source, "convert", {"format": "tiff"})

    assert numpy.abs(tifffile.imread(io.BytesIO(result)).astype(float) - image * (65535 / (2**bits - 1))).max() <= 0.51


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
def test_deep_jpeg_2000_that_is_cut_short_is_damage(kept: float) -> None:
    image = numpy.random.default_rng(1).integers(0, 2**16, (40, 64, 3), "uint16")
    source = bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat="jp2", reversible=True))

    with pytest.raises(ImageError, match="damaged"):
        processed(source[: int(len(source) * kept)], "convert", KEPT)


@pytest.mark.parametrize("bits", [16, 32])
def test_a_deep_psd_is_refused_in_words(bits: int) -> None:
    source = bytearray(psd(colorful()))
    source[22:24] = struct.pack(">H", bits)

    with pytest.raises(ImageError, match=rf"^A PSD of {bits} bits a channel is not read: save it with 8 bits"):
        processed(bytes(source), "convert", KEPT)


def test_a_psd_of_unnamed_inks_is_refused_in_words() -> None:
    source = bytearray(psd(colorful()))
    source[24:26] = b"\0\7"

    with pytest.raises(ImageError, match=r"^A PSD in multichannel mode is not read: save it as RGB"):
        processed(bytes(source), "convert", KEPT)


@pytest.mark.parametrize("name", SOURCES)
def test_the_pixels_are_those_that_were_encoded(name: str) -> None:
    result = opened(processed(SOURCES[name], "convert", KEPT))

    expected = colorful("RGBA") if name.startswith("ico") else colorful()
    assert result.mode == expected.mode
    assert numpy.array_equal(numpy.asarray(result), numpy.asarray(expected))


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_a_bmp_may_be_black_and_white_grey_or_of_a_palette(mode: str) -> None:
    image = colorful().convert(mode)

    result = opened(processed(encoded(image, "BMP"), "convert", KEPT)).convert("RGB")

    assert numpy.array_equal(numpy.asarray(result), numpy.asarray(image.convert("RGB")))


@pytest.mark.parametrize("format", ["JPEG2000", "PSD"])
def test_alpha_is_kept(format: str) -> None:
    image = colorful("RGBA")

    result = pixels(processed(psd(image) if format == "PSD" else encoded(image, format), "convert", KEPT))

    assert numpy.array_equal(result, numpy.asarray(image))


def test_a_grey_jpeg_2000_keeps_its_sixteen_bits() -> None:
    values = (numpy.arange(64 * 48, dtype="uint16") * 21).reshape(48, 64)
    source = encoded(Image.fromarray(values), "JPEG2000")

    result = opened(processed(source, "convert", KEPT))

    assert report(source, "info")["bits"] == 16
    assert numpy.array_equal(numpy.asarray(result), values)


def test_an_icon_is_the_largest_of_its_pictures() -> None:
    source = encoded(Image.new("RGBA", (256, 256)), "ICO", sizes=[(16, 16), (128, 128), (32, 32)])

    assert report(source, "info")["width"] == 128


def test_an_icon_may_be_larger_than_its_directory_can_say() -> None:
    source = bytearray(ico(Image.new("RGBA", (200, 200))))
    picture = encoded(Image.new("RGBA", (400, 300)), "PNG")

    found = report(bytes(source[:14]) + struct.pack("<II", len(picture), 22) + picture, "info")

    assert (found["width"], found["height"]) == (400, 300)


def test_a_psd_of_inks_becomes_colors() -> None:
    inks = Image.new("CMYK", (8, 8), (0, 255, 255, 0))

    red, green, blue = pixels(processed(psd(inks), "convert", KEPT))[0, 0]

    assert red > 200
    assert max(green, blue) < 80


def test_the_profile_of_a_psd_is_kept() -> None:
    assert opened(processed(psd(colorful(), PROFILE), "convert", KEPT)).info["icc_profile"] == PROFILE


def test_the_profile_of_a_jpeg_2000_is_kept() -> None:
    source = encoded(colorful(), "JPEG2000")
    color = struct.pack(">I4sBBB", 11 + len(PROFILE), b"colr", 2, 0, 0) + PROFILE
    place = source.index(b"colr") - 4
    length = int.from_bytes(source[place : place + 4], "big")
    header = source.index(b"jp2h") - 4
    grown = int.from_bytes(source[header : header + 4], "big") + len(color) - length
    with_profile = (
        source[:header] + struct.pack(">I", grown) + source[header + 4 : place] + color + source[place + length :]
    )

    assert opened(processed(with_profile, "convert", KEPT)).info["icc_profile"] == PROFILE


@pytest.mark.parametrize(
    ("source", "extension"),
    [
        *((SOURCES[name], ".png") for name in ("bmp", "ico", "jp2", "psd")),
        (encoded(colorful(), "JPEG2000", irreversible=True), ".jpg"),
    ],
    ids=["bmp", "ico", "lossless jp2", "psd", "lossy jp2"],
)
def test_a_result_as_the_source_is_lossless_where_the_source_is(tmp_path: Path, source: bytes, extension: str) -> None:
    (tmp_path / "source").write_bytes(source)

    written = process_image(tmp_path / "source", {}, tmp_path / "result", plan_of("flip", None), LIMITS)

    assert written == extension
    assert opened((tmp_path / "result").read_bytes()).format == {".png": "PNG", ".jpg": "JPEG"}[extension]


@pytest.mark.parametrize("name", SOURCES)
def test_an_image_of_more_pixels_is_refused_by_its_header(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(SOURCES[name][:200])  # there is no pixel that could be decoded

    with pytest.raises(ImageError, match="3,072 pixels; 3,071 are possible"):
        decode(source, Limits(max_pixels=3071, max_frames=1), sequential=True)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", SOURCES)
def test_a_damaged_file_is_refused_with_a_reason(name: str, kept: float) -> None:
    source = SOURCES[name][: int(len(SOURCES[name]) * kept)]

    with pytest.raises(ImageError, match=r"^The image is damaged: .{5,}\.$"):
        processed(source, "convert", KEPT)


def test_a_text_that_begins_with_the_letters_of_a_bmp_is_no_image() -> None:
    with pytest.raises(ImageError, match="not an image of a known format"):
        processed(b"BMW sells cars, and this is a text about them.", "info")
