"""Encoding of results: formats, quality, metadata, profiles, and the search for the smallest file."""

import io
import struct
import zlib
from functools import cache
from typing import cast

import cv2
import numpy
import pytest
import pyvips
import tifffile
from image_processor.imaging.profiles import Primaries, TransferFunction, small_profile
from image_processor.services.codec.decoding import ImageError, ImageLimits
from PIL import Image, ImageCms, ImageColor, ImageOps, ImageSequence, JpegImagePlugin, TiffImagePlugin
from PIL.JpegImagePlugin import JpegImageFile
from skimage import data, metrics
from skimage.color import xyz2rgb

from tests.support.algorithm_runs import processed, report
from tests.support.images import encoded, opened, photo, pixels

pytestmark = pytest.mark.slow

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@cache
def grainy(width: int = 320, height: int = 240) -> bytes:
    """Return a picture that compresses like a photograph."""
    random = numpy.random.default_rng(4)
    smooth = numpy.asarray(opened(photo(width, height))).astype(float)
    return encoded(
        Image.fromarray(numpy.clip(smooth + random.normal(0, 12, smooth.shape), 0, 255).astype("uint8")), "PNG"
    )


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"])
@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "avif", "gif", "tiff"])
def test_every_format_becomes_every_other(source: str, target: str) -> None:
    result = opened(processed(photo(format=source), "convert", {"format": target}))

    assert (result.format, result.size) == (target.upper(), (64, 48))
    # A GIF of this picture has few colors.
    difference = numpy.abs(numpy.asarray(result.convert("RGB")).astype(int) - pixels(photo()))[..., :2]
    assert difference.mean() < (12 if "gif" in (source.lower(), target) else 4)


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_a_lower_quality_is_smaller(format: str) -> None:
    sizes = [len(processed(grainy(), "convert", {"format": format, "quality": quality})) for quality in (20, 60, 95)]

    assert sizes == sorted(sizes)
    assert sizes[0] * 2 < sizes[2]


@pytest.mark.parametrize("format", ["webp", "avif"])
def test_lossless_keeps_every_pixel(format: str) -> None:
    result = pixels(processed(grainy(), "convert", {"format": format, "lossless": True, "subsampling": "4:4:4"}))

    assert numpy.abs(result - pixels(grainy())).max() <= (0 if format == "webp" else 1)


@pytest.mark.parametrize("format", ["png", "gif"])
def test_a_quality_takes_no_colors_away_from_a_format_that_has_none(format: str) -> None:
    usual, low = (
        processed(photo(64, 48), "convert", {"format": format, **quality}) for quality in ({}, {"quality": 10})
    )

    assert (pixels(low) == pixels(usual)).all()


def test_a_png_with_a_palette_has_at_most_the_requested_colors() -> None:
    result = opened(processed(grainy(), "convert", {"palette": True, "colors": 16}))

    assert result.mode == "P"
    assert len(result.getcolors() or []) <= 16


def test_progressive_is_progressive() -> None:
    result = opened(processed(grainy(), "convert", {"format": "jpeg", "progressive": True}))

    assert result.info.get("progressive")


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_chroma_is_subsampled_as_requested(subsampling: str) -> None:
    result = opened(processed(grainy(), "convert", {"format": "jpeg", "subsampling": subsampling}))

    sampled = getattr(result, "layer")[0][1:3]  # noqa: B009 (only JPEG images have it)
    assert sampled == ((2, 2) if subsampling == "4:2:0" else (1, 1))


def test_transparency_lies_on_the_background_in_a_jpeg() -> None:
    clear = encoded(Image.new("RGBA", (16, 16), (255, 0, 0, 0)), "PNG")

    white = pixels(processed(clear, "convert", {"format": "jpeg"}))
    blue = pixels(processed(clear, "convert", {"format": "jpeg", "background": "#0000ff"}))

    assert white.min() > 250
    assert numpy.abs(blue - [0, 0, 255]).max() < 8


def test_auto_takes_the_smaller_of_avif_and_webp() -> None:
    sizes = {name: len(processed(grainy(), "convert", {"format": name})) for name in ("avif", "webp")}

    result = processed(grainy(), "convert", {"format": "auto"})

    assert opened(result).format == min(sizes, key=sizes.__getitem__).upper()
    assert len(result) == min(sizes.values())


@pytest.mark.slow
@pytest.mark.parametrize("format", ["jpeg", "webp", "avif", "png"])
@pytest.mark.parametrize("wanted", [0.8, 0.95])
def test_the_smallest_file_that_reaches_the_ssim_is_found(format: str, wanted: float) -> None:
    source = grainy(160, 120)
    gray = numpy.asarray(opened(source).convert("L"))

    result = processed(source, "optimize", {"format": format, "min_ssim": wanted})

    alike = metrics.structural_similarity(
        gray, numpy.asarray(opened(result).convert("L")), gaussian_weights=True, sigma=1.5
    )
    best = processed(source, "convert", {"format": format, "quality": 100})
    assert alike > wanted - 0.02
    assert len(result) <= len(best)


@pytest.mark.parametrize("format", [pytest.param("webp", marks=pytest.mark.thorough), "gif"])
@pytest.mark.parametrize("order", [[0, 0, 1], pytest.param([0, 1, 1], marks=pytest.mark.thorough), [0, 0, 0]])
def test_an_animation_reaches_an_ssim_although_equal_frames_are_merged(format: str, order: list[int]) -> None:
    picture = grainy(160, 120)
    frames = [picture, encoded(ImageOps.mirror(opened(picture)), "PNG")]
    output = {"format": format, "min_ssim": 0.7}
    others = {number: frames[at] for number, at in enumerate(order[1:], 2)}

    result = processed(frames[order[0]], "animate", {"others": list(others), "output": output}, others)

    shown = [numpy.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(opened(result))]
    assert len(shown) == len(set(order))
    for seen, at in ((shown[0], order[0]), (shown[-1], order[-1])):
        gray = numpy.asarray(opened(frames[at]).convert("L"))
        assert metrics.structural_similarity(gray, seen, gaussian_weights=True, sigma=1.5) > 0.65


@pytest.mark.slow
@pytest.mark.parametrize("format", ["jpeg", "webp", "avif", "png", "gif"])
def test_the_best_file_within_a_size_is_found(format: str) -> None:
    source = grainy(160, 120)
    largest = len(processed(source, "convert", {"format": format, "quality": 100}))

    result = processed(source, "optimize", {"format": format, "max_bytes": largest * 2 // 3})

    assert largest // 8 < len(result) <= largest * 2 // 3


def test_a_size_that_no_quality_reaches_is_refused() -> None:
    with pytest.raises(ImageError, match=r"the smallest result has [\d,]+ bytes, which is more than 100"):
        processed(grainy(), "convert", {"format": "jpeg", "max_bytes": 100})


def test_a_size_and_an_ssim_are_both_reached_or_refused() -> None:
    with pytest.raises(ImageError, match=r"at an SSIM of 0\.99"):
        processed(grainy(), "optimize", {"format": "jpeg", "min_ssim": 0.99, "max_bytes": 3000})


def test_an_ssim_that_no_allowed_quality_reaches_is_refused() -> None:
    with pytest.raises(ImageError, match=r"has an SSIM of 0\.\d+ at quality 5, which is less than 0\.99"):
        processed(grainy(), "convert", {"format": "webp", "quality": 5, "min_ssim": 0.99})


def test_a_smaller_format_that_misses_the_ssim_is_not_taken() -> None:
    source = grainy()
    output = {"format": "auto", "quality": 60, "min_ssim": 0.83}
    reached = []
    for name in ("avif", "webp"):
        plain = processed(source, "convert", {"format": name, "quality": 60})
        if cast("float", report(plain, "compare", {"file_id": 2}, {2: source})["ssim"]) >= 0.83:
            reached.append(name.upper())
    assert len(reached) == 1, "one of them alone can"

    assert opened(processed(source, "convert", output)).format == reached[0]


LARGE = {"width": 1900, "height": 1300}


@cache
def large() -> bytes:
    """Return an image of more than two megapixels: smooth above, fine texture below."""
    coarse = numpy.asarray(opened(photo(LARGE["width"], LARGE["height"])).convert("RGB")).astype(float)
    grain = numpy.random.default_rng(8).normal(0, 18, coarse.shape)
    grain[: LARGE["height"] // 2] *= 0.2
    return encoded(Image.fromarray(numpy.clip(coarse + grain, 0, 255).astype("uint8")), "PNG", compress_level=1)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["jpeg", *(pytest.param(f, marks=pytest.mark.thorough) for f in ("webp", "auto"))])
def test_the_ssim_of_a_large_image_is_reached_and_hardly_exceeded(format: str) -> None:
    source = large()

    result = processed(source, "optimize", {"format": format, "min_ssim": 0.9})

    grays = [numpy.asarray(opened(content).convert("L")) for content in (source, result)]
    alike = metrics.structural_similarity(*grays, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    assert 0.9 <= alike + 0.0005 < 0.91
    assert cast("float", report(result, "compare", {"file_id": 2}, {2: source})["ssim"]) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("format", ["jpeg", pytest.param("auto", marks=pytest.mark.thorough)])
def test_a_large_image_fills_its_size_limit(format: str) -> None:
    source = large()

    result = processed(source, "convert", {"format": format, "max_bytes": 300_000})

    assert 270_000 <= len(result) <= 300_000


@pytest.mark.thorough
def test_auto_takes_the_format_that_is_smaller_for_a_large_image() -> None:
    source = large()
    sizes = {name: len(processed(source, "convert", {"format": name})) for name in ("avif", "webp")}

    assert len(processed(source, "convert", {"format": "auto"})) == min(sizes.values())


def test_a_tiff_has_no_quality_to_search() -> None:
    with pytest.raises(ImageError, match="choose another format"):
        processed(photo(), "convert", {"format": "tiff", "max_bytes": 10})


def tagged() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x013B], exif[0x8298] = "Maker", "Ada L.", "(c) Ada"
    exif.get_ifd(0x8825)[1] = "N"
    return photo(format="JPEG", exif=exif, icc_profile=SRGB, comment=b"hello")


USUAL = ["flip", "resize", "thumbnail", "auto_orient", "brightness", "optimize", "convert"]


@pytest.mark.parametrize("algorithm", USUAL)
def test_the_copyright_and_the_profile_stay_by_default(algorithm: str) -> None:
    params = {"resize": {"width": 20}, "brightness": {"amount": 5}}.get(algorithm)

    result = opened(processed(tagged(), algorithm, params))

    assert (result.getexif()[0x013B], result.getexif()[0x8298]) == ("Ada L.", "(c) Ada")
    assert result.info["icc_profile"] == SRGB


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("algorithm", USUAL)
def test_no_result_has_the_place_of_a_photograph_by_default(algorithm: str, format: str) -> None:
    params: dict[str, dict[str, object]] = {
        "resize": {"width": 20},
        "brightness": {"amount": 5},
        "optimize": {"format": "webp"},
    }

    content = processed(described(format), algorithm, params.get(algorithm))

    exif = opened(content).getexif()
    assert not exif.get_ifd(0x8825)
    assert not {0x010E, 0x010F} & set(exif)
    assert b"secret" not in content


def test_metadata_is_kept_on_request() -> None:
    result = opened(processed(tagged(), "flip", {"output": {"metadata": "keep"}}))

    assert result.getexif()[0x010F] == "Maker"
    assert result.getexif().get_ifd(0x8825)[1] == "N"


def described(format: str) -> bytes:
    """Return an image with all the metadata that cameras and editors write."""
    exif = Image.Exif()
    exif[0x010E], exif[0x010F], exif[0x013B], exif[0x8298] = "a secret", "Maker secret", "Ada L.", "(c) Ada"
    exif.get_ifd(0x8769)[0x9003] = "2020:02:02 02:02:02"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 0.0)
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>secret</x:xmpmeta>"
    if format == "TIFF":
        exif[700] = xmp
        loaded = Image.Exif()  # Pillow writes no directories into a TIFF unless they were loaded
        loaded.load(exif.tobytes())
        return photo(format=format, exif=loaded, icc_profile=SRGB)
    return photo(format=format, exif=exif, icc_profile=SRGB, xmp=xmp, comment=b"secret")


SOURCES = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"]
TARGETS = ["jpeg", "png", "webp", "tiff", "avif"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", SOURCES)
def test_all_of_exif_is_kept_from_every_format_to_every_other(source: str, target: str) -> None:
    exif = opened(processed(described(source), "convert", {"format": target, "metadata": "keep"})).getexif()

    assert (exif[0x010F], exif[0x013B], exif[0x8298]) == ("Maker secret", "Ada L.", "(c) Ada")
    assert exif.get_ifd(0x8769)[0x9003] == "2020:02:02 02:02:02"
    assert exif.get_ifd(0x8825)[2] == (51.0, 30.0, 0.0)


HOST_COMPUTER, EXIF_DIRECTORY, MAKER_NOTE = 0x013C, 0x8769, 0x927C
OWNER_OF_LIGHTROOM, SERIAL_OF_LIGHTROOM = 0xFDE8, 0xFDE9


def of_a_phone(serial: bytes = b"12345") -> bytes:
    """Return a JPEG with a maker note and tags that libexif does not know."""
    exif = Image.Exif()
    exif[HOST_COMPUTER], exif[0x8298] = "A phone", "(c) Ada"
    photograph = exif.get_ifd(EXIF_DIRECTORY)
    photograph[MAKER_NOTE] = b"Maker\0of offsets"
    photograph[OWNER_OF_LIGHTROOM], photograph[SERIAL_OF_LIGHTROOM] = "Ada", serial
    return photo(format="JPEG", exif=exif)


def exif_of_tiff(content: bytes) -> tuple[set[int], dict[str, object]]:
    """Return the tags of a TIFF's first directory, and the values of its EXIF directory, as tifffile reads them."""
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tags = file.pages.first.tags
        return {tag.code for tag in tags}, dict(tags[EXIF_DIRECTORY].value) if EXIF_DIRECTORY in tags else {}


def test_a_tiff_keeps_the_maker_note_and_tags_that_libexif_does_not_know() -> None:
    made = processed(of_a_phone(), "convert", {"format": "tiff", "metadata": "keep"})

    tags, photograph = exif_of_tiff(processed(made, "convert", {"metadata": "keep"}))

    assert HOST_COMPUTER in tags, "kept from a TIFF too"
    assert photograph == {"MakerNote": b"Maker\0of offsets", "OwnerName": "Ada", "SerialNumber": b"12345"}


def test_a_tiff_keeps_no_picture_in_a_private_tag() -> None:
    source = of_a_phone(serial=b"\xff\xd8\xffa preview")

    made = processed(source, "convert", {"format": "tiff", "metadata": "keep"})

    assert "SerialNumber" not in exif_of_tiff(made)[1]
    assert b"a preview" not in made


def test_a_tiff_has_no_tag_that_libexif_does_not_know_by_default() -> None:
    tags, photograph = exif_of_tiff(processed(of_a_phone(), "convert", {"format": "tiff"}))

    assert HOST_COMPUTER not in tags
    assert photograph == {}


OF_THE_RESULT = {0x0112, 0x011A, 0x011B, 0x0128, 0x8769, 0x8825, 0xA002, 0xA003}
"""Tags that describe the result: orientation, resolution, offsets of other directories, and the number of pixels."""


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("source", SOURCES)
def test_no_tag_is_written_that_the_source_does_not_have(source: str, target: str) -> None:
    exif = opened(processed(described(source), "convert", {"format": target, "metadata": "keep"})).getexif()

    assert set(exif) - OF_THE_RESULT <= {0x010E, 0x010F, 0x013B, 0x8298}
    assert set(exif.get_ifd(0x8769)) - OF_THE_RESULT == {0x9003}


@pytest.mark.parametrize("target", ["jpeg", "tiff"])
@pytest.mark.parametrize("source", ["JPEG", "TIFF"])
def test_what_windows_writes_of_an_image_is_kept(source: str, target: str) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x9C9B], exif[0x9C9D] = "Maker", "Title\0".encode("utf-16-le"), "Ada\0".encode("utf-16-le")
    loaded = Image.Exif()  # as Pillow writes no directory into a TIFF that was not read
    loaded.load(exif.tobytes())

    result = processed(photo(format=source, exif=loaded), "convert", {"format": target, "metadata": "keep"})

    kept = opened(result).getexif()
    assert (kept[0x9C9B], kept[0x9C9D]) == (exif[0x9C9B], exif[0x9C9D])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", SOURCES)
def test_only_the_copyright_is_kept(source: str, target: str) -> None:
    content = processed(described(source), "convert", {"format": target, "metadata": "copyright"})

    result = opened(content)
    exif = result.getexif()
    assert (exif[0x8298], exif[0x013B]) == ("(c) Ada", "Ada L.")
    assert not {0x010E, 0x010F} & set(exif)
    assert not exif.get_ifd(0x8825)
    assert b"secret" not in content
    assert result.info["icc_profile"] == SRGB


@pytest.mark.parametrize("target", [*TARGETS, "gif"])
@pytest.mark.parametrize("source", SOURCES)
def test_everything_is_stripped(source: str, target: str) -> None:
    content = processed(described(source), "convert", {"format": target, "metadata": "strip", "profile": "strip"})

    result = opened(content)
    assert not {0x010E, 0x010F, 0x8298, 0x013B, 0x8769, 0x8825} & set(result.getexif())
    assert not {"icc_profile", "xmp", "comment"} & set(result.info)
    assert b"secret" not in content


@pytest.mark.parametrize("metadata", ["keep", "copyright", "strip"])
@pytest.mark.parametrize("target", TARGETS)
def test_no_empty_exif_block_is_made(target: str, metadata: str) -> None:
    result = opened(processed(photo(), "convert", {"format": target, "metadata": metadata}))

    assert "exif" not in result.info
    assert 0x8769 not in result.getexif()


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_the_resolution_of_an_image_without_exif_is_kept_on_request(format: str, target: str) -> None:
    source = encoded(opened(photo()).convert("RGB"), format, dpi=(300, 150))

    result = opened(processed(source, "convert", {"format": target, "metadata": "keep"}))

    tags = result.getexif()
    inches = 2.54 if tags.get(296) == 3 else 1
    found = [float(tags[tag]) * inches for tag in (282, 283)] if tags else result.info["dpi"]
    assert [round(dots) for dots in found] == [300, 150]


@pytest.mark.parametrize("metadata", ["keep", "copyright", "strip"])
@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_stripping_keeps_the_timing_of_an_animation(format: str, metadata: str) -> None:
    frames = [opened(photo(40, 30)).rotate(90 * turn) for turn in range(3)]
    source = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=[100, 250, 40], loop=3)

    found = report(processed(source, "convert", {"metadata": metadata}), "info")

    assert (found["delays"], found["loop"]) == ([100, 250, 40], report(source, "info")["loop"])


def test_a_jpeg_has_quality_85_and_half_the_chroma_by_default() -> None:
    ours = Image.open(io.BytesIO(processed(grainy(), "convert", {"format": "jpeg"})))
    pillows = io.BytesIO()
    opened(grainy()).save(pillows, "JPEG", quality=85, subsampling="4:2:0")

    assert isinstance(ours, JpegImageFile)
    assert JpegImagePlugin.get_sampling(ours) == 2, "4:2:0"
    assert ours.quantization == cast("JpegImageFile", opened(pillows.getvalue())).quantization


def test_every_page_of_a_tiff_stays_next_to_its_exif() -> None:
    pages = [Image.new("RGB", (20, 10), color) for color in ("red", "blue")]
    source = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], tiffinfo={315: "Ada"})

    result = Image.open(io.BytesIO(processed(source, "flip")))

    assert (getattr(result, "n_frames", 1), result.getexif()[315]) == (2, "Ada")
    result.seek(1)
    assert result.convert("RGB").getpixel((0, 0)) == (0, 0, 255)


def with_thumbnail(content: bytes) -> bytes:
    """Return the JPEG with a thumbnail in its EXIF data, as written by cameras."""
    small = photo(16, 12, format="JPEG")
    entries = [(0x0103, 3, 6), (0x0201, 4, 56), (0x0202, 4, len(small))]  # compression, place and length
    tiff = struct.pack("<2sHIHI", b"II", 42, 8, 0, 14)
    tiff += struct.pack("<H", 3) + b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    tiff = (tiff + bytes(4)).ljust(56, b"\0") + small
    exif = b"Exif\0\0" + tiff
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]


@pytest.mark.parametrize("metadata", ["keep", "copyright"])
@pytest.mark.parametrize("algorithm", ["convert", "flip", "blur_faces"])
def test_no_thumbnail_of_the_source_stays_in_the_exif(algorithm: str, metadata: str) -> None:
    source = with_thumbnail(photo(format="JPEG"))
    assert source.count(b"\xff\xd8\xff") == 2

    result = processed(source, "pipeline", {"steps": [{"algorithm": algorithm}], "output": {"metadata": metadata}})

    assert result.count(b"\xff\xd8\xff") == 1


def test_an_ultra_hdr_photograph_is_a_jpeg() -> None:
    bright = pyvips.Image.xyz(64, 48).linear(1 / 40, 0).bandjoin(0.5).copy(interpretation="scrgb").cast("float")
    source = bright.uhdrsave_buffer()

    result = opened(processed(source, "resize", {"width": 32}))

    assert (result.format, result.size) == ("JPEG", (32, 24))
    assert report(source, "info")["format"] == "jpeg"


@pytest.mark.parametrize("format", ["jpeg", "gif"])
def test_a_format_that_cannot_be_lossless_refuses_it(format: str) -> None:
    with pytest.raises(ImageError, match="cannot be lossless"):
        processed(photo(), "convert", {"format": format, "lossless": True})


def test_a_stripped_profile_does_not_change_how_colors_look() -> None:
    wide = processed(photo(), "to_colorspace", {"space": "p3"})

    result = processed(wide, "convert", {"profile": "strip"})

    assert "icc_profile" not in opened(result).info
    assert numpy.abs(pixels(result) - pixels(photo())).mean() < 1.5


@pytest.mark.parametrize("format", ["png", "webp", "avif", "gif"])
def test_cmyk_becomes_srgb_in_a_format_without_cmyk(format: str) -> None:
    result = opened(processed(photo(mode="CMYK", format="JPEG"), "convert", {"format": format}))

    assert result.convert("RGB").getpixel((0, 0))[2] < 60, "the corner is dark"  # type: ignore[index]  # a pixel of RGB


def test_cmyk_stays_in_a_jpeg() -> None:
    assert opened(processed(photo(mode="CMYK", format="JPEG"), "flip")).mode == "CMYK"


def test_sixteen_bits_become_eight_in_a_format_of_eight() -> None:
    ramp = (numpy.arange(64 * 48) * 20).reshape(48, 64).astype("uint16")

    result = pixels(processed(encoded(Image.fromarray(ramp), "PNG"), "convert", {"format": "jpeg", "quality": 100}))

    assert numpy.abs(result - ramp // 257).max() <= 2


def test_an_animation_becomes_a_still_in_a_format_without_animations() -> None:
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    source = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)

    result = opened(processed(source, "convert", {"format": "png"}))

    assert (result.size, result.convert("RGB").getpixel((5, 5))) == ((20, 20), (255, 0, 0))


def test_a_side_that_the_format_cannot_hold_is_named() -> None:
    with pytest.raises(ImageError, match="the limit of WEBP is 16,383"):
        processed(photo(17_000, 2), "convert", {"format": "webp"})


def test_a_result_over_the_limit_is_refused() -> None:
    with pytest.raises(ImageError, match="The result would have"):
        processed(photo(), "resize", {"width": 2000, "height": 2000}, limits=ImageLimits(1_000_000, 10))


def chunks(content: bytes, added: bytes) -> bytes:
    """Return the PNG with additional chunks before its pixels."""
    return content[:33] + added + content[33:]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


FLAT = encoded(Image.new("RGB", (16, 16), (188, 100, 50)), "PNG")
D65_AND_P3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
DESCRIBED = {
    # LittleCMS converts (188, 100, 50) in linear light and Display P3 to (223, 168, 122) and (201, 94, 33).
    "linear gAMA": (chunks(FLAT, chunk(b"gAMA", struct.pack(">I", 100_000))), (223, 168, 122)),
    "gAMA of sRGB": (chunks(FLAT, chunk(b"gAMA", struct.pack(">I", 45_455))), (188, 100, 50)),
    "gAMA next to sRGB": (
        chunks(FLAT, chunk(b"sRGB", b"\0") + chunk(b"gAMA", struct.pack(">I", 100_000))),
        (188, 100, 50),
    ),
    "a gAMA of nonsense": (chunks(FLAT, chunk(b"gAMA", struct.pack(">I", 4_000_000_000))), (188, 100, 50)),
    "cHRM of P3": (
        chunks(FLAT, chunk(b"cHRM", D65_AND_P3)),
        (201, 94, 33),
    ),
    "a damaged cHRM": (chunks(FLAT, chunk(b"cHRM", bytes(8) + b"\xff" * 24)), (188, 100, 50)),
    "cICP of P3": (chunks(FLAT, chunk(b"cICP", bytes([12, 13, 0, 1]))), (201, 94, 33)),
    "cICP before gAMA": (
        chunks(FLAT, chunk(b"cICP", bytes([12, 13, 0, 1])) + chunk(b"gAMA", struct.pack(">I", 100_000))),
        (201, 94, 33),
    ),
    "cICP of sRGB": (chunks(FLAT, chunk(b"cICP", bytes([1, 13, 0, 1]))), (188, 100, 50)),
}


@pytest.mark.parametrize("kind", DESCRIBED)
def test_colors_that_a_png_describes_are_converted(kind: str) -> None:
    content, color = DESCRIBED[kind]

    stripped = pixels(processed(content, "convert", {"profile": "strip"}))
    worked_on = pixels(processed(content, "brightness", {"amount": 0, "output": {"profile": "strip"}}))

    assert numpy.abs(stripped - color).max() <= 1
    assert numpy.abs(worked_on - color).max() <= 1


@pytest.mark.parametrize("transfer", [16, 18])
@pytest.mark.parametrize("primaries", [1, 9])
@pytest.mark.parametrize("format", ["PNG", "AVIF"])
def test_high_dynamic_range_is_refused_instead_of_shown_pale(format: str, primaries: int, transfer: int) -> None:
    content = with_code_points(format, primaries, transfer)

    with pytest.raises(ImageError, match=f"The colors of this {format} have high dynamic range"):
        processed(content, "convert", {"format": "jpeg"})


@pytest.mark.parametrize(("primaries", "transfer"), [(11, 17), (1, 9), (1, 10), (10, 8), (23, 13), (1, 19), (0, 13)])
@pytest.mark.parametrize("format", ["PNG", "AVIF"])
def test_coded_colors_that_no_profile_describes_are_refused(format: str, primaries: int, transfer: int) -> None:
    content = with_code_points(format, primaries, transfer)

    with pytest.raises(ImageError, match=f"primaries {primaries} and transfer function {transfer} of ITU-T H.273"):
        processed(content, "convert", {"format": "jpeg"})


def test_a_png_of_limited_range_is_refused() -> None:
    content = chunks(FLAT, chunk(b"cICP", bytes([1, 13, 0, 0])))

    with pytest.raises(ImageError, match="limited range"):
        processed(content, "convert", {"format": "jpeg"})


@pytest.mark.parametrize(
    ("primaries", "xy"),
    [
        (8, {"red": (0.681, 0.319), "green": (0.243, 0.692), "blue": (0.145, 0.049), "white": (0.310, 0.316)}),
        (22, {"red": (0.630, 0.340), "green": (0.295, 0.605), "blue": (0.155, 0.077), "white": (0.3127, 0.3290)}),
    ],
)
def test_the_primaries_of_film_and_of_ebu_are_converted(primaries: int, xy: dict[str, tuple[float, float]]) -> None:
    content = with_code_points("PNG", primaries, 8)

    result = pixels(processed(content, "convert", {"profile": "strip"}))[8, 8]

    # Rec. ITU-T H.273, table 2, with the white adapted by Bradford (ICC.1:2010, annex E).
    to_xyz = {name: numpy.array([x / y, 1, (1 - x - y) / y]) for name, (x, y) in xy.items()}
    columns = numpy.column_stack([to_xyz["red"], to_xyz["green"], to_xyz["blue"]])
    colors = columns * numpy.linalg.solve(columns, to_xyz["white"])
    cones = numpy.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    white = numpy.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    gains = numpy.diag((cones @ white) / (cones @ to_xyz["white"]))
    adapted = numpy.linalg.inv(cones) @ gains @ cones @ colors @ (numpy.array([188, 100, 50]) / 255)
    assert numpy.abs(result - xyz2rgb(adapted) * 255).max() <= 2


@pytest.mark.parametrize("transfer", [1, 2, 6, 7, 11, 12, 14, 15])
@pytest.mark.parametrize("format", ["PNG", "AVIF"])
def test_video_functions_and_the_unknown_are_those_of_srgb(format: str, transfer: int) -> None:
    result = processed(with_code_points(format, 2, transfer), "convert", {"format": "png"})

    assert numpy.abs(pixels(result) - (188, 100, 50)).max() <= 3
    assert "icc_profile" not in opened(result).info


def with_code_points(format: str, primaries: int, transfer: int) -> bytes:
    """Return an image whose colors are described by H.273 code points: as a cICP chunk, or in an nclx box."""
    if format == "PNG":
        return chunks(FLAT, chunk(b"cICP", bytes([primaries, transfer, 0, 1])))
    content = encoded(Image.new("RGB", (16, 16), (188, 100, 50)), "AVIF")
    start = content.index(b"colrnclx") + len(b"colrnclx")
    return content[:start] + struct.pack(">HH", primaries, transfer) + content[start + 4 :]


@pytest.mark.parametrize("kind", DESCRIBED)
@pytest.mark.parametrize("target", ["png", "jpeg", "webp", "tiff"])
def test_a_description_of_colors_becomes_an_equivalent_profile(target: str, kind: str) -> None:
    content, color = DESCRIBED[kind]

    result = opened(processed(content, "convert", {"format": target, "quality": 100}))

    assert numpy.abs(numpy.asarray(in_srgb(result)).astype(int) - color).max() <= 3
    assert len(result.info.get("icc_profile") or b"") < 1200


def in_srgb(image: Image.Image) -> Image.Image:
    """Return the image in sRGB, converted by LittleCMS."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None
    return converted


def test_gray_of_another_gamma_is_converted() -> None:
    content = chunks(encoded(Image.new("L", (16, 16), 100), "PNG"), chunk(b"gAMA", struct.pack(">I", 100_000)))

    result = pixels(processed(content, "convert", {"profile": "strip"}))

    assert numpy.abs(result - 168).max() <= 1  # like the middle of the three bands above


GRAY_STEPS = Image.fromarray(numpy.repeat(numpy.arange(20, 256, 5).astype("uint8"), 16).reshape(-1, 16))


@pytest.mark.parametrize("target", ["png", "jpeg", "webp", "avif", "tiff", "gif"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_gray_looks_the_same_in_every_format(gamma: float, depth: int, target: str) -> None:
    flat = encoded(GRAY_STEPS, "PNG") if depth == 8 else sixteen_bits(GRAY_STEPS)
    content = chunks(flat, chunk(b"gAMA", struct.pack(">I", round(100_000 / gamma))))

    lossless = {"lossless": True} if target in ("webp", "avif") else {}
    result = opened(processed(content, "convert", {"format": target, "quality": 100, **lossless}))

    light = (numpy.asarray(GRAY_STEPS) / 255) ** gamma  # IEC 61966-2-1, inverted
    encoded_light = numpy.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light) * 255
    shown = numpy.asarray(in_srgb(in_eight_bits(result)).convert("L")).astype(float)
    assert numpy.abs(shown - encoded_light).max() < (8 if target == "jpeg" else 4)
    assert numpy.abs(encoded_light - numpy.asarray(GRAY_STEPS)).max() > 15


def sixteen_bits(image: Image.Image) -> bytes:
    return bytes(cv2.imencode(".png", numpy.asarray(image).astype("uint16") * 257)[1])


def in_eight_bits(image: Image.Image) -> Image.Image:
    if not image.mode.startswith("I"):
        return image
    eight = Image.fromarray((numpy.asarray(image) // 257).astype("uint8"))
    eight.info = image.info
    return eight


@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("algorithm", ["convert", "resize", "flip", "optimize"])
def test_a_gif_has_the_colors_of_srgb(algorithm: str, source: str) -> None:
    content = encoded(Image.new("RGB", (16, 16), (188, 100, 50)), source, quality=100, icc_profile=renamed(SRGB))
    output: dict[str, object] = {"format": "gif"}
    params: dict[str, object] = output if algorithm in ("convert", "optimize") else {"output": output}
    params |= {"width": 8} if algorithm == "resize" else {}

    result = opened(processed(content, algorithm, params))

    expected = numpy.asarray(in_srgb(opened(content))).astype(int)[0, 0]
    assert numpy.abs(pixels(encoded(result.convert("RGB"), "PNG")) - expected).max() <= 3
    assert numpy.abs(expected - (188, 100, 50)).max() > 50


def test_gray_of_another_gamma_looks_the_same_on_a_colored_background() -> None:
    half = encoded(Image.new("LA", (16, 16), (100, 51)), "PNG")
    content = chunks(half, chunk(b"gAMA", struct.pack(">I", 100_000)))

    result = opened(processed(content, "convert", {"format": "jpeg", "background": "#ff0000", "quality": 100}))

    shown = numpy.asarray(in_srgb(result)).astype(int)[8, 8]
    assert numpy.abs(shown - (168 * 0.2 + 255 * 0.8, 168 * 0.2, 168 * 0.2)).max() <= 2


@pytest.mark.parametrize("background", ["#ff8000", "#808080", "#ffffff"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_a_background_has_its_color_with_any_profile(gamma: float, mode: str, background: str) -> None:
    clear = encoded(Image.new("RGBA", (16, 16), (10, 20, 30, 0)).convert(mode), "PNG")
    content = chunks(clear, chunk(b"gAMA", struct.pack(">I", round(100_000 / gamma))) + chunk(b"cHRM", D65_AND_P3))

    result = opened(processed(content, "convert", {"format": "jpeg", "background": background, "quality": 100}))

    shown = numpy.asarray(in_srgb(result)).astype(int)
    assert numpy.abs(shown - ImageColor.getrgb(background)).max() <= 3
    assert result.info.get("icc_profile") or len(set(ImageColor.getrgb(background))) > 1, "the profile is kept"


def of_a_camera(format: str, space: int | None, index: str | None) -> bytes:
    """Return a picture without a profile whose EXIF specifies its color space."""
    exif = Image.Exif()
    exif[271] = "Maker"
    photo_tags = exif.get_ifd(0x8769)
    if space is not None:
        photo_tags[40961] = space
    if index is not None:
        photo_tags[40965] = {1: index}
    if format == "TIFF":
        return encoded(Image.new("RGB", (16, 16), (188, 100, 50)), format, tiffinfo=with_photo_tags(dict(photo_tags)))
    options: dict[str, dict[str, object]] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    return encoded(Image.new("RGB", (16, 16), (188, 100, 50)), format, exif=exif, **options.get(format, {}))


def with_photo_tags(tags: dict[int, object]) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Return the tags of a TIFF with these in its EXIF directory."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[271] = "Maker"
    directory[34665] = tags
    return directory


def from_adobe_rgb(color: tuple[int, int, int]) -> numpy.ndarray:
    """Convert Adobe RGB (1998), 4.3.5, to sRGB with scikit-image; colors outside of sRGB are clipped."""
    light = (numpy.array(color) / 255) ** 2.19921875
    xyz = [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]] @ light
    converted: numpy.ndarray = xyz2rgb(xyz) * 255
    return converted


@pytest.mark.parametrize(
    ("space", "index", "is_adobe"),
    [(65535, "R03", True), (2, None, True), (None, "R03", True), (1, "R98", False), (65535, None, False)],
)
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "PNG", "TIFF"])
def test_adobe_rgb_of_a_camera_is_converted(format: str, space: int | None, index: str | None, is_adobe: bool) -> None:
    source = of_a_camera(format, space, index)
    expected = from_adobe_rgb((188, 100, 50)) if is_adobe else numpy.array([188, 100, 50])
    assert not is_adobe or numpy.abs(expected - (188, 100, 50)).max() > 20

    for params in ({"profile": "strip"}, {"profile": "srgb"}, {"profile": "keep"}, {"format": "gif"}):
        result = processed(source, "convert", {"format": "png", "metadata": "keep", **params})
        again = processed(result, "convert", {"format": "webp", "lossless": True, "profile": "strip"})

        assert numpy.abs(numpy.asarray(in_srgb(opened(result))).astype(int) - expected).max() <= 3, params
        assert numpy.abs(pixels(again)[..., :3] - expected).max() <= 3, "a second time nothing is converted"


@pytest.mark.parametrize("name", [b"sRGB", b"gAMA"])
def test_chunks_of_a_png_count_before_its_exif(name: bytes) -> None:
    chunks_of_srgb = {b"sRGB": b"\0", b"gAMA": struct.pack(">I", 45_455)}
    source = chunks(of_a_camera("PNG", 65535, "R03"), chunk(name, chunks_of_srgb[name]))

    result = opened(processed(source, "convert", {"format": "png", "metadata": "keep"}))

    assert result.getpixel((8, 8)) == (188, 100, 50)
    assert "icc_profile" not in result.info
    assert result.getexif().get_ifd(0x8769)[40961] == 1, "otherwise the next reader would convert the colors"


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_all_pages_of_a_tiff_are_adobe_rgb_by_the_exif_of_the_first(mode: str) -> None:
    pages = [Image.new("RGB", (16, 16), (188, 100, 50)), Image.new(mode, (16, 16), 100)]
    source = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], tiffinfo=with_photo_tags({40961: 2}))

    result = opened(processed(source, "convert", {"format": "tiff", "profile": "srgb"}))

    result.seek(0)
    assert numpy.abs(numpy.asarray(result)[8, 8] - from_adobe_rgb((188, 100, 50))).max() <= 2
    result.seek(1)
    red, green, blue = numpy.asarray(pages[1].convert("RGB"))[0, 0].tolist()
    assert numpy.abs(numpy.asarray(result)[8, 8] - from_adobe_rgb((red, green, blue))).max() <= 2


def test_exif_does_not_make_other_colors_adobe_rgb() -> None:
    lab = Image.new("LAB", (16, 16), (128, 20, 30))
    source = encoded(lab, "TIFF", tiffinfo=with_photo_tags({40961: 2}))

    assert pixels(processed(source, "convert", {"format": "png"})).tolist() == (
        pixels(processed(encoded(lab, "TIFF"), "convert", {"format": "png"})).tolist()
    )


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("profile", ["keep", "strip", "srgb"])
def test_exif_says_adobe_rgb_only_if_the_colors_are(profile: str, format: str) -> None:
    source = of_a_camera(format, 65535, "R03")

    output = {"format": "jpeg", "profile": profile, "metadata": "keep"}
    exif = opened(processed(source, "convert", output)).getexif()

    assert exif[271] == "Maker"
    assert exif.get_ifd(0x8769)[40961] == (65535 if profile == "keep" else 1)
    assert exif.get_ifd(0xA005).get(1) == ("R03" if profile == "keep" else None)


def renamed(profile: bytes) -> bytes:
    """Return the profile with linear curves under the same name."""
    linear = b"curv" + bytes(8)
    place = profile.index(b"para")
    return profile[:place] + linear + profile[place + len(linear) :]


def test_a_profile_counts_by_its_numbers_and_not_by_its_name() -> None:
    source = photo(icc_profile=renamed(SRGB))
    assert b"s\0R\0G\0B" in SRGB, "it calls itself sRGB"

    result = pixels(processed(source, "convert", {"profile": "strip"}))

    expected = numpy.asarray(in_srgb(opened(source))).astype(int)
    assert numpy.abs(result - expected).max() <= 2
    assert numpy.abs(expected - pixels(photo())).max() > 40


def test_srgb_colors_are_not_changed() -> None:
    assert numpy.array_equal(
        pixels(processed(photo(icc_profile=SRGB), "convert", {"profile": "srgb"})), pixels(photo())
    )


ODD_PROFILES = {
    "two bytes behind it": SRGB + b"\0\0",
    "cut short": SRGB[:-100],
    "no profile": b"odd" * 100,
    "empty": SRGB[:128] + bytes(4),
    "cut inside its curves": (SRGB.index(b"para") + 2).to_bytes(4, "big") + SRGB[4 : SRGB.index(b"para") + 2],
}


@pytest.mark.parametrize("target", ["png", "jpeg", "webp", "avif", "tiff"])
@pytest.mark.parametrize("odd", ODD_PROFILES)
@pytest.mark.parametrize("profile", ["keep", "srgb", "strip"])
def test_an_odd_profile_fails_in_no_format(odd: str, target: str, profile: str) -> None:
    source = photo(format="JPEG", quality=100, icc_profile=ODD_PROFILES[odd])

    result = pixels(processed(source, "convert", {"format": target, "profile": profile, "quality": 100}))

    assert numpy.abs(result - pixels(source)).mean() < 3


@pytest.mark.parametrize("target", ["png", "jpeg", "webp", "avif", "tiff"])
@pytest.mark.parametrize("source", ["JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("odd", ["cut short", "cut inside its curves", "no profile", "empty"])
def test_a_profile_that_cannot_be_read_is_in_no_result(odd: str, source: str, target: str) -> None:
    content = photo(format=source, icc_profile=ODD_PROFILES[odd])
    assert opened(content).info["icc_profile"] == ODD_PROFILES[odd]

    result = processed(content, "convert", {"format": target})

    assert "icc_profile" not in opened(result).info
    assert report(content, "info")["profile"] is False


@pytest.mark.parametrize("target", ["png", "jpeg", "webp", "avif", "tiff", "gif"])
@pytest.mark.parametrize("source", ["JPEG", "TIFF"])
def test_a_gray_image_with_a_profile_for_rgb_has_one_brightness(source: str, target: str) -> None:
    # With this profile, samples of 121 would be as bright as 183.
    linear = small_profile(Primaries((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), TransferFunction(1.0), gray=False)
    file = io.BytesIO()
    Image.new("L", (32, 32), 121).save(file, source, icc_profile=linear)

    result = opened(processed(file.getvalue(), "convert", {"format": target}))

    assert "icc_profile" not in result.info
    assert abs(int(numpy.asarray(result.convert("L")).mean()) - 121) <= 2


@pytest.mark.parametrize("target", ["png", "jpeg", "webp", "avif", "tiff"])
def test_a_profile_for_colors_of_another_kind_is_in_no_result(target: str) -> None:
    profile = SRGB[:16] + b"Lab " + SRGB[20:]

    result = opened(processed(photo(icc_profile=profile), "convert", {"format": target}))

    assert "icc_profile" not in result.info


def test_bytes_after_a_profile_are_dropped() -> None:
    result = opened(processed(photo(icc_profile=SRGB + b"\0\0"), "convert", {"format": "png"}))

    assert result.info["icc_profile"] == SRGB


def cmyk_with_alpha() -> bytes:
    """Return a TIFF with cyan on the left and transparent black on the right."""
    values = numpy.zeros((16, 16, 5), "uint8")
    values[:, :8] = (255, 0, 0, 0, 255)
    values[:, 8:] = (0, 0, 0, 255, 0)
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="separated", extrasamples=["unassalpha"])
    return file.getvalue()


@pytest.mark.parametrize(("background", "inks"), [("#ffffff", (0, 0, 0, 0)), ("#ff0000", (0, 255, 255, 0))])
def test_cmyk_with_alpha_lies_on_the_background_in_a_jpeg(background: str, inks: tuple[int, ...]) -> None:
    result = opened(
        processed(cmyk_with_alpha(), "convert", {"format": "jpeg", "background": background, "quality": 100})
    )

    assert result.mode == "CMYK"
    assert numpy.abs(numpy.asarray(result)[:, 12].astype(int) - inks).max() <= 6
    assert numpy.abs(numpy.asarray(result)[:, 2].astype(int) - (255, 0, 0, 0)).max() <= 6


def test_a_small_cmyk_result_has_no_large_profile() -> None:
    source = photo()

    result = processed(source, "to_colorspace", {"space": "cmyk", "output": {"format": "jpeg", "quality": 100}})

    assert opened(result).mode == "CMYK"
    assert len(result) < 20_000
    back = pixels(processed(result, "convert", {"format": "png"}))
    assert numpy.abs(back - pixels(source)).mean() < 25, "it is read through the same profile again"


def translucent() -> bytes:
    image = opened(photo(160, 120, mode="RGBA"))
    image.putalpha(image.getchannel("R"))
    return encoded(image, "PNG")


@pytest.mark.parametrize("colors", [2, 3, 5, 16, 40, 100, 256])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("format", ["png", "gif"])
def test_there_are_at_most_the_requested_colors(format: str, alpha: bool, colors: int) -> None:
    source = translucent() if alpha else photo()

    result = opened(processed(source, "convert", {"format": format, "palette": True, "colors": colors}))

    found = result.convert("RGBA").getcolors(100_000) or []
    assert colors // 2 <= len(found) <= colors


@pytest.mark.parametrize("colors", [2, 3, 4, 8, 16])
def test_all_frames_of_a_gif_together_have_at_most_the_requested_colors(colors: int) -> None:
    random = numpy.random.default_rng(1)
    frames = [Image.new("RGB", (40, 40), tuple(random.integers(0, 255, 3).tolist())) for _ in range(9)]
    for frame in frames:
        frame.paste(tuple(random.integers(0, 255, 3).tolist()), (10, 10, 20, 20))
    source = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True, duration=100)

    result = opened(processed(source, "convert", {"format": "gif", "colors": colors}))

    shown = [frame.convert("RGB").getcolors() or [] for frame in ImageSequence.Iterator(result)]
    assert len(shown) > 1
    assert colors // 2 < len({color for found in shown for _, color in found}) <= colors


@pytest.mark.parametrize("colors", [5, 40, 100])
def test_fewer_colors_are_as_close_as_those_of_pillow(colors: int) -> None:
    source = opened(grainy())

    result = processed(grainy(), "convert", {"palette": True, "colors": colors})

    pillows = numpy.asarray(source.quantize(colors, dither=Image.Dither.NONE).convert("RGB")).astype(int)
    mine = numpy.asarray(opened(result).convert("RGB")).astype(int)
    assert ((mine - pixels(grainy())) ** 2).mean() < 1.3 * ((pillows - pixels(grainy())) ** 2).mean()


@pytest.mark.slow
@pytest.mark.parametrize("effort", [1, 3, 6, 9])
@pytest.mark.parametrize("name", ["astronaut", "page", "logo"])
def test_a_png_is_no_larger_than_pillows_at_the_same_effort(name: str, effort: int) -> None:
    source = encoded(Image.fromarray(getattr(data, name)()), "PNG", compress_level=1)

    result = processed(source, "convert", {"effort": effort})

    pillows = encoded(opened(source), "PNG", compress_level=effort)
    assert len(result) < 1.01 * len(pillows)
    assert numpy.array_equal(pixels(result), pixels(source))


@pytest.mark.parametrize("colors", [2, 5, 16, 100, 256])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("algorithm", ["flip", "convert"])
def test_a_palette_stays_a_palette_if_all_colors_fit(algorithm: str, mode: str, colors: int) -> None:
    method = Image.Quantize.FASTOCTREE
    unlimited = opened(translucent() if mode == "RGBA" else photo(160, 120))
    source = encoded(unlimited.quantize(colors, method), "PNG", optimize=True)

    result = processed(source, algorithm)

    expected = ImageOps.mirror(opened(source)) if algorithm == "flip" else opened(source)
    assert opened(result).mode == "P"
    assert numpy.array_equal(numpy.asarray(opened(result).convert("RGBA")), numpy.asarray(expected.convert("RGBA")))
    assert len(result) < 1.1 * len(encoded(expected, "PNG", optimize=True)) + 100


@pytest.mark.parametrize("transparency", [3, bytes([0, 128, 255, 30])], ids=["one color", "several"])
@pytest.mark.parametrize("colors", [5, 64, 256])
@pytest.mark.parametrize("algorithm", ["flip", "convert"])
def test_a_palette_with_transparency_stays_a_palette(algorithm: str, colors: int, transparency: int | bytes) -> None:
    image = Image.fromarray(data.astronaut()).resize((160, 120)).quantize(colors)
    source = encoded(image, "PNG", transparency=transparency)

    result = processed(source, algorithm)

    expected = ImageOps.mirror(opened(source)) if algorithm == "flip" else opened(source)
    shown, wanted = (numpy.asarray(image.convert("RGBA")) for image in (opened(result), expected))
    assert opened(result).mode == "P"
    assert numpy.array_equal(shown[..., 3], wanted[..., 3])
    assert numpy.array_equal(shown[wanted[..., 3] > 0], wanted[wanted[..., 3] > 0])
    assert len(result) < 1.1 * len(source)


def test_a_palette_that_is_too_small_is_dropped() -> None:
    source = photo(mode="P", width=320, height=240)

    result = opened(processed(source, "resize", {"width": 100}))

    assert result.mode == "RGB"


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
@pytest.mark.parametrize("source", [grainy(160, 120), translucent()], ids=["opaque", "alpha"])
def test_compare_finds_the_requested_ssim(source: bytes, format: str) -> None:
    result = processed(source, "optimize", {"format": format, "min_ssim": 0.95})

    found = report(result, "compare", {"file_id": 2}, {2: source})

    assert cast("float", found["ssim"]) >= 0.95


def test_a_format_that_cannot_hold_the_image_does_not_end_auto() -> None:
    source = photo(16_384, 4)  # a side of WebP has at most 16,383 pixels, of AVIF 16,384

    result = opened(processed(source, "convert", {"format": "auto"}))

    assert (result.format, result.size) == ("AVIF", (16_384, 4))


def test_auto_says_why_no_format_can_hold_the_image() -> None:
    with pytest.raises(ImageError, match="the limit of AVIF is 16,384"):
        processed(photo(17_000, 2), "convert", {"format": "auto"})


@pytest.mark.parametrize(("width", "height", "most"), [(510, 500, 7), (2010, 1000, 3)])
def test_the_effort_of_a_large_avif_is_limited(width: int, height: int, most: int) -> None:
    source = encoded(Image.linear_gradient("L").resize((width, height)).convert("RGB"), "PNG")

    greatest, limited = (processed(source, "convert", {"format": "avif", "effort": effort}) for effort in (9, most))

    assert greatest == limited
