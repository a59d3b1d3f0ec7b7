"""The file server and the image processor agree on an image's format and displayed size."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy
import pytest
import tifffile
from file_storage.services.media.media import Media, media_of
from image_processor.services.codec.decoding import ImageError, ImageLimits, decode
from image_processor.services.codec.encoding import EXTENSIONS
from PIL import Image

from tests.support.environment import PROJECT
from tests.support.images import encoded, opened, photo
from tests.support.jpegxl import jpegxl

LIMITS = ImageLimits(max_pixels=10**9, max_frames=10**5)
WRITTEN = {f"image/{name}" for name in EXTENSIONS}


def processor_says(path: Path) -> Media | None:
    """Return the image processor's view of the file; None if it cannot read it."""
    try:
        decoded = decode(path, LIMITS, sequential=True)
    except ImageError:
        return None
    return Media(f"image/{decoded.format}", decoded.picture.width, decoded.picture.height)


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def still(format: str, orientation: int) -> bytes:
    return photo(40, 20, format=format, exif=oriented(orientation))


def animated(format: str, orientation: int) -> bytes:
    frames = [opened(photo(40, 20)), opened(photo(40, 20)).rotate(180)]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:], exif=oriented(orientation))


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize(
    ("format", "made"),
    [
        *((kind, still) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF")),
        *((kind, animated) for kind in ("PNG", "WEBP", "TIFF", "GIF")),
    ],
)
def test_both_services_know_the_same_size(
    format: str, made: Callable[[str, int], bytes], orientation: int, tmp_path: Path
) -> None:
    content = made(format, orientation)
    (tmp_path / "source").write_bytes(content)

    assert media_of(io.BytesIO(content)) == processor_says(tmp_path / "source")


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("boxes", [(), ((b"xml ", b"<x/>"),)])
def test_both_services_know_the_same_size_of_a_jpeg_xl(
    boxes: tuple[tuple[bytes, bytes], ...], orientation: int, tmp_path: Path
) -> None:
    content = jpegxl(numpy.zeros((20, 40, 3), "uint8"), orientation=orientation, boxes=boxes)
    (tmp_path / "source").write_bytes(content)

    size = (40, 20) if orientation < 5 else (20, 40)
    assert media_of(io.BytesIO(content)) == processor_says(tmp_path / "source") == Media("image/jxl", *size)


@pytest.mark.parametrize("content", [photo(mode="CMYK", format="TIFF"), photo(mode="CMYK", format="JPEG")])
def test_both_services_know_the_size_of_cmyk(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(content)

    assert media_of(io.BytesIO(content)) == processor_says(tmp_path / "source")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_both_services_skip_the_thumbnail_of_a_tiff(order: Literal["<", ">"], big: bool, tmp_path: Path) -> None:
    pixels = numpy.zeros((32, 48, 3), "uint8")
    with tifffile.TiffWriter(tmp_path / "source", bigtiff=big, byteorder=order) as file:
        file.write(pixels[::4, ::4].copy(), photometric="rgb", subfiletype=1)
        file.write(pixels, photometric="rgb")

    content = (tmp_path / "source").read_bytes()
    assert media_of(io.BytesIO(content)) == processor_says(tmp_path / "source") == Media("image/tiff", 48, 32)


def test_both_services_know_the_size_of_the_first_page_if_pages_differ_in_size(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "source") as file:
        for height, width in ((32, 48), (8, 60)):
            file.write(numpy.zeros((height, width, 3), "uint8"), photometric="rgb", metadata=None)

    content = (tmp_path / "source").read_bytes()
    assert media_of(io.BytesIO(content)) == processor_says(tmp_path / "source") == Media("image/tiff", 48, 32)


def test_only_the_image_processor_knows_the_size_of_a_pdf(tmp_path: Path) -> None:
    content = encoded(Image.new("RGB", (72, 36)), "PDF", resolution=72)  # a page of one inch by half an inch
    (tmp_path / "source").write_bytes(content)

    assert media_of(io.BytesIO(content)) == Media("application/pdf")
    assert processor_says(tmp_path / "source") == Media("image/pdf", 150, 75)


@pytest.mark.parametrize("depths", [(0, 8), (8, 0), (8, 24), (0, 0)])
def test_both_services_choose_the_same_picture_of_an_icon(depths: tuple[int, int], tmp_path: Path) -> None:
    pictures = [photo(side, side, mode="RGBA") for side in (32, 16)]
    places = [6 + 16 * len(pictures), 6 + 16 * len(pictures) + len(pictures[0])]
    entries = [
        struct.pack("<4BHHII", 32, 32, 0, 0, 1, depth, len(picture), place)
        for depth, picture, place in zip(depths, pictures, places, strict=True)
    ]
    content = struct.pack("<HHH", 0, 1, len(pictures)) + b"".join(entries) + b"".join(pictures)
    (tmp_path / "source").write_bytes(content)

    processor = processor_says(tmp_path / "source")

    assert processor is not None
    assert media_of(io.BytesIO(content)) == Media("image/x-icon", processor.width, processor.height)


@pytest.mark.parametrize(("marks", "size"), [(1, (20, 40)), (2, (40, 20))])
def test_both_services_read_the_exif_of_a_png_with_one_prefix_of_a_jpeg(
    marks: int, size: tuple[int, int], tmp_path: Path
) -> None:
    content = photo(40, 20, exif=marks * b"Exif\0\0" + oriented(6).tobytes())  # Pillow removes one
    assert b"eXIf" + marks * b"Exif\0\0" + b"MM" in content
    (tmp_path / "source").write_bytes(content)

    assert media_of(io.BytesIO(content)) == processor_says(tmp_path / "source") == Media("image/png", *size)


@pytest.mark.thorough
def test_both_services_agree_on_a_thousand_files() -> None:
    files = sorted(path for path in (PROJECT / ".corpus").rglob("*") if path.is_file())
    assert len(files) > 1000, "run scripts/fetch-corpus"

    differing = {}
    for path in files:
        processor = processor_says(path)
        with path.open("rb") as file:
            stored = media_of(file)
        if processor is None:
            continue
        # The two services name read-only formats differently.
        media_type = processor.media_type if processor.media_type in WRITTEN else stored.media_type
        is_pdf = media_type == "application/pdf"  # the file server never parses one
        if stored != (Media(media_type) if is_pdf else Media(media_type, processor.width, processor.height)):
            differing[path.name] = stored, processor

    assert differing == {}
