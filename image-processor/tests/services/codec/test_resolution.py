"""A resolution without a unit states only the shape of a pixel: it counts as not stated."""

import io
import struct
import zlib

import pillow_heif
import pytest
from PIL import Image

from tests.support.algorithm_runs import processed, report
from tests.support.images import opened, photo

MAKE, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x010F, 0x011A, 0x011B, 0x0128
NO_UNIT, INCH, CENTIMETER = 1, 2, 3
"""Values of ResolutionUnit (TIFF 6.0, page 38); CIPA DC-008 has the last two."""
UNKNOWN = 72
"""Dots per inch of an image whose resolution is not known (CIPA DC-008, XResolution)."""
FORMATS = ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "HEIC"]
TARGETS = ["jpeg", "png", "webp", "avif", "tiff"]


def exif_of(dots: int, unit: int) -> Image.Exif:
    exif = Image.Exif()
    exif[MAKE], exif[X_RESOLUTION], exif[Y_RESOLUTION], exif[RESOLUTION_UNIT] = "Maker", dots, dots, unit
    return exif


def picture(format: str, dots: int, unit: int) -> bytes:
    """Return an image with this resolution in its EXIF."""
    if format != "HEIC":
        return photo(format=format, exif=exif_of(dots, unit))
    buffer = io.BytesIO()
    pillow_heif.from_pillow(opened(photo())).save(buffer, exif=exif_of(dots, unit).tobytes())
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(dots_per_meter: int, unit: int) -> bytes:
    """Return a PNG with the chunk pHYs; the unit is 1 for the meter and 0 for none."""
    content = photo()
    head = len(b"\x89PNG\r\n\x1a\n") + len(chunk(b"IHDR", bytes(13)))
    return content[:head] + chunk(b"pHYs", struct.pack(">IIB", *[dots_per_meter] * 2, unit)) + content[head:]


def dots_per_inch_of(content: bytes) -> float:
    """Return the resolution as Pillow reads it."""
    image = opened(content)
    exif = image.getexif()
    if X_RESOLUTION not in exif:
        return float(image.info["dpi"][0])
    return float(exif[X_RESOLUTION]) * {INCH: 1, CENTIMETER: 2.54}[exif[RESOLUTION_UNIT]]


@pytest.mark.parametrize("dots", [1, 300])
@pytest.mark.parametrize("format", FORMATS)
def test_a_number_without_a_unit_counts_as_no_resolution(format: str, dots: int) -> None:
    assert report(picture(format, dots, NO_UNIT), "info")["dots_per_inch"] == UNKNOWN


@pytest.mark.parametrize(("unit", "expected"), [(INCH, 300), (CENTIMETER, 762)])
@pytest.mark.parametrize("format", FORMATS)
def test_a_number_with_a_unit_is_a_resolution(format: str, unit: int, expected: int) -> None:
    assert report(picture(format, 300, unit), "info")["dots_per_inch"] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("unit", "expected"), [(0, UNKNOWN), (1, 300)])
def test_the_resolution_of_a_png_has_a_unit_too(unit: int, expected: int) -> None:
    assert report(png_with(11811, unit), "info")["dots_per_inch"] == pytest.approx(expected, abs=0.01)


def test_a_png_has_its_own_resolution_if_its_exif_has_no_unit() -> None:
    content = png_with(11811, 1)
    late = chunk(b"eXIf", exif_of(1, NO_UNIT).tobytes().removeprefix(b"Exif\0\0"))
    end = len(chunk(b"IEND", b""))

    found = report(content[:-end] + late + content[-end:], "info")

    assert found["dots_per_inch"] == pytest.approx(300, abs=0.01)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("format", FORMATS)
def test_no_resolution_is_written_that_the_source_does_not_state(format: str, target: str) -> None:
    result = processed(picture(format, 300, NO_UNIT), "convert", {"format": target, "metadata": "keep"})

    assert dots_per_inch_of(result) == pytest.approx(UNKNOWN, abs=0.01)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("format", FORMATS)
def test_the_resolution_that_the_source_states_is_kept(format: str, target: str) -> None:
    result = processed(picture(format, 300, INCH), "convert", {"format": target, "metadata": "keep"})

    assert dots_per_inch_of(result) == pytest.approx(300, abs=0.01)


COLOR_SPACE, EXIF_VERSION = 0xA001, 0x9000


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_a_kept_resolution_brings_no_other_tag(format: str, target: str) -> None:
    """Without a block to begin with, libvips writes that the colors are not calibrated."""
    source = photo(format=format, dpi=(144, 144))

    kept = opened(processed(source, "convert", {"format": target, "metadata": "keep"}))

    of_the_photograph = kept.getexif().get_ifd(0x8769)
    assert not {COLOR_SPACE, EXIF_VERSION} & {*kept.getexif(), *of_the_photograph}
    assert target != "png" or not kept.getexif(), "a PNG has its own resolution"


@pytest.mark.parametrize("dots_per_meter", [0, 2**31 - 1])
@pytest.mark.parametrize("target", TARGETS)
def test_an_impossible_resolution_of_a_png_is_unknown(target: str, dots_per_meter: int) -> None:
    source = png_with(dots_per_meter, 1)

    assert report(source, "info")["dots_per_inch"] == UNKNOWN
    kept = processed(source, "convert", {"format": target, "metadata": "keep"})
    assert X_RESOLUTION not in opened(kept).getexif() or round(dots_per_inch_of(kept)) == UNKNOWN


@pytest.mark.parametrize("dots", [0, 2**32 - 1])
@pytest.mark.parametrize("format", FORMATS)
def test_an_impossible_resolution_in_exif_is_unknown(format: str, dots: int) -> None:
    assert report(picture(format, dots, INCH), "info")["dots_per_inch"] == UNKNOWN


@pytest.mark.parametrize(("unit", "expected"), [(1, 300), (2, 762), (0, UNKNOWN)])
def test_a_jpeg_has_the_resolution_of_jfif_if_its_exif_has_no_unit(unit: int, expected: int) -> None:
    content = bytearray(photo(format="JPEG", dpi=(300, 300), exif=exif_of(1, NO_UNIT)))
    assert content[6:11] == b"JFIF\0"
    content[13] = unit

    assert report(bytes(content), "info")["dots_per_inch"] == expected
