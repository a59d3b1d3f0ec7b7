"""Decoding: limits of pixels and frames, damaged files, pages and animations; no pixel is lost without an error."""

import errno
import io
import logging
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from mmap import mmap
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy
import pytest
import pyvips
import tifffile
from image_processor.services.codec import mended_tiff, tiff
from image_processor.services.codec.decoding import ImageError, ImageLimits, decode
from image_processor.services.codec.tiff_decoders import _has_decoder
from PIL import Image, ImageCms, ImageOps, ImageSequence

from tests.support.algorithm_runs import LIMITS, processed, report
from tests.support.images import encoded, opened, photo, pixels

pytestmark = pytest.mark.slow


def animation(width: int, height: int, frames: int, format: str) -> bytes:
    colors = [(40 * number, 100, 200) for number in range(frames)]
    first, *others = [Image.new("RGB", (width, height), color) for color in colors]
    return encoded(first, format, save_all=True, append_images=others, duration=100)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_an_image_at_the_limit_of_pixels_is_decoded(tmp_path: Path, format: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(photo(40, 25, format=format))

    decoded = decode(source, ImageLimits(max_pixels=1000, max_frames=1), sequential=True)

    assert (decoded.picture.width, decoded.picture.height) == (40, 25)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_an_image_with_more_pixels_than_the_limit_is_refused(tmp_path: Path, format: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(photo(40, 25, format=format))

    with pytest.raises(ImageError, match="1,000 pixels; the limit is 999"):
        decode(source, ImageLimits(max_pixels=999, max_frames=1), sequential=True)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF"])
def test_the_limit_of_pixels_counts_all_frames(tmp_path: Path, format: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(animation(20, 10, 5, format))

    with pytest.raises(ImageError, match="1,000 pixels; the limit is 999"):
        decode(source, ImageLimits(max_pixels=999, max_frames=5), sequential=True)

    assert len(decode(source, ImageLimits(max_pixels=1000, max_frames=5), sequential=True).picture.frames) == 5


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF"])
def test_an_animation_with_more_frames_than_the_limit_is_refused(tmp_path: Path, format: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(animation(20, 10, 5, format))

    with pytest.raises(ImageError, match="5 frames; the limit is 4"):
        decode(source, ImageLimits(max_pixels=1000, max_frames=4), sequential=True)


STRIP = 8
"""Rows per strip."""


def in_strips() -> tuple[bytes, Sequence[tuple[int, int]]]:
    """Return a TIFF of six compressed strips, and the start and end of each strip."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels(photo()).astype("uint8"), compression="zlib", rowsperstrip=STRIP, photometric="rgb")
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    return file.getvalue(), [(start, start + length) for start, length in places]


def with_a_corrupt_strip() -> bytes:
    content, strips = in_strips()
    start, end = strips[3]
    return content[:start] + bytes(end - start) + content[end:]


def in_tiles(**options: object) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        # The type annotations of "write" are stricter than its code.
        getattr(writer, "write")(pixels(photo()).astype("uint8"), photometric="rgb", tile=(16, 16), **options)  # noqa: B009
    return file.getvalue()


def with_a_corrupt_tile() -> bytes:
    content = in_tiles(compression="zlib")
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        start = tiff.pages.first.dataoffsets[2]
    return content[:start] + bytes(20) + content[start + 20 :]


def cut_short() -> bytes:
    content, strips = in_strips()
    assert strips[0][0] > content.find(b"\x1a\x01"), "the directory comes first"
    return content[: strips[3][0] + 5]


def changed(content: bytes, place: int, length: int = 1) -> bytes:
    """Return the file with other bytes at ``place``."""
    other = bytes(byte ^ 0x55 for byte in content[place : place + length])
    return content[:place] + other + content[place + length :]


def of_compression(number: int) -> bytes:
    """Return a TIFF whose Compression tag has this value."""
    return photo(format="TIFF").replace(
        struct.pack("<HHIHH", 259, 3, 1, 1, 0), struct.pack("<HHIHH", 259, 3, 1, number, 0)
    )


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_chunk(name: bytes) -> bytes:
    """Return a PNG with a chunk of this name after its header."""
    whole = photo()
    return whole[:33] + chunk(name, bytes(4)) + whole[33:]


def with_header(content: bytes) -> bytes:
    whole = photo()
    return whole[:8] + chunk(b"IHDR", content) + whole[33:]


def with_two_palettes() -> bytes:
    rows = zlib.compress(bytes(4 * 5))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0)), *[(b"PLTE", bytes(6))] * 2, (b"IDAT", rows)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in (*chunks, (b"IEND", b"")))


def interlaced_and_cut_short() -> bytes:
    """Return an interlaced PNG of complete chunks that contain only the first part of its pixels."""
    header = struct.pack(">IIBBBBB", 64, 48, 8, 0, 0, 0, 1)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def grid() -> numpy.ndarray:
    return pixels(photo(mode="RGB")).astype("uint8")


def jpeg_with_12_bits() -> bytes:
    return bytes(imagecodecs.jpeg8_encode(grid().astype("uint16") * 16, bitspersample=12))


UNDECODABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "ZSTD": (lambda: photo(format="TIFF", compression="zstd"), "compression (ZSTD) is not supported"),
    "LZMA": (lambda: photo(format="TIFF", compression="lzma"), "compression (LZMA) is not supported"),
    "ZSTD in tiles": (lambda: in_tiles(compression="zstd"), "compression (ZSTD) is not supported"),
    "JPEG 2000 in tiles": (lambda: in_tiles(compression="jpeg2000"), "compression (JPEG 2000) is not supported"),
    "a corrupt tile": (with_a_corrupt_tile, "Decoding error at scanline"),
    "tiles cut short": (lambda: in_tiles(compression="lzw")[:-300], "the file is truncated."),
    "a corrupt strip": (with_a_corrupt_strip, "Decoding error at scanline"),
    "a file cut short": (cut_short, "the file is truncated."),
    "a JPEG cut short": (lambda: photo(format="JPEG", quality=95)[:-900], "the file is truncated."),
    "a WebP cut short": (lambda: photo(format="WEBP")[:-100], "the file is truncated or corrupt"),
    "a PNG cut short": (lambda: photo()[:-100], "the file is truncated."),
    "a PNG that ends in its header": (lambda: photo()[:20], "the file is truncated."),
    "a PNG whose header is changed": (lambda: changed(photo(), 23), "its chunk IHDR is corrupt: the checksum is wrong"),
    "a PNG whose pixels are changed": (lambda: changed(photo(), 100), "its compressed pixels are corrupt"),
    "an interlaced PNG cut short": (interlaced_and_cut_short, "the file is truncated."),
    "a PNG with an unknown part": (lambda: with_chunk(b"ABCD"), "its chunk ABCD is critical and of an unknown type"),
    "a PNG with two palettes": (with_two_palettes, "it has two palettes (PLTE)"),
    "a PNG for iPhones": (lambda: with_chunk(b"CgBI"), "it is an iPhone-specific PNG (CgBI)"),
    "a PNG with 3 bits": (lambda: with_header(struct.pack(">IIB4x", 8, 8, 3)), "its header is invalid"),
    "a JPEG with 12 bits": (jpeg_with_12_bits, "only JPEG with 8 bits per sample is supported"),
    "JPEG-LS": (lambda: bytes(imagecodecs.jpegls_encode(grid())), "its kind of JPEG is not supported"),
    "a GIF cut short": (lambda: photo(format="GIF")[:40], "the file is truncated."),
    "a TIFF that ends before its directory": (
        lambda: photo(format="TIFF")[:40],
        "the TIFF is truncated, or its header",
    ),
    "JPEG 2000 in a TIFF": (lambda: of_compression(34712), "compression (JPEG 2000) is not supported; a TIFF may"),
    "JPEG XL in a TIFF": (
        lambda: of_compression(50002),
        "compression (JPEG XL) is not supported; a TIFF may use Deflate",
    ),
    "a wrong number of bits": (lambda: of_compression(4), "Bits/sample must be 1 for Group 3/4 encoding/decoding."),
}


@pytest.mark.parametrize(
    ("algorithm", "params"),
    [
        ("convert", {"format": "png"}),
        ("convert", {"format": "jpeg"}),
        ("flip", {"direction": "vertical", "output": {"format": "webp"}}),
        ("dominant_colors", {}),
    ],
)
@pytest.mark.parametrize("kind", UNDECODABLE)
def test_pixels_that_cannot_be_decoded_are_an_error_that_names_the_cause(
    kind: str, algorithm: str, params: dict[str, object]
) -> None:
    made, reason = UNDECODABLE[kind]

    with pytest.raises(ImageError) as caught:
        processed(made(), algorithm, params)

    assert str(caught.value).startswith("The image cannot be decoded: ")
    assert reason in str(caught.value)


def with_alpha_multiplied(kind: str) -> bytes:
    samples = numpy.full((8, 8, 4), 2**31, kind)
    file = io.BytesIO()
    tifffile.imwrite(file, samples, photometric="rgb", extrasamples=["assocalpha"])
    return file.getvalue()


def test_32_bits_multiplied_by_alpha_are_refused_instead_of_empty() -> None:
    with pytest.raises(ImageError, match="32-bit samples that are multiplied by their alpha"):
        processed(with_alpha_multiplied("uint32"), "convert", {"format": "png"})


LOSING = {
    "progressive JPEG": lambda: photo(200, 150, format="JPEG", quality=90, progressive=True),
    "JPEG in a TIFF": lambda: photo(200, 150, format="TIFF", compression="jpeg"),
    "CCITT group 3": lambda: photo(200, 150, "1", "TIFF", compression="group3"),
    "CCITT group 4": lambda: photo(200, 150, "1", "TIFF", compression="group4"),
}


@pytest.mark.parametrize("kind", LOSING)
def test_a_loader_warning_about_lost_pixels_is_an_error(kind: str) -> None:
    whole = LOSING[kind]()
    damaged = [changed(whole, place, 30) for place in range(900, len(whole) - 60, len(whole) // 20)]
    refused = [content for content in damaged if is_refused_at_the_first_warning(content)]
    assert len(refused) > 5

    for content in refused:
        with pytest.raises(ImageError, match="The image cannot be decoded: "):
            processed(content, "convert", {"format": "png"})
    result = processed(whole, "convert", {"format": "png"})
    expected = numpy.asarray(opened(whole).convert(opened(result).mode)).astype(int)
    assert numpy.abs(pixels(result) - expected).max() <= 1


def is_refused_at_the_first_warning(content: bytes) -> bool:
    """Return whether libvips, at its strictest, refuses the file; Pillow and OpenCV ignore lost pixels."""
    try:
        pyvips.Image.new_from_buffer(content, "", fail_on="warning").copy_memory()
    except pyvips.Error:
        return True
    return False


@pytest.mark.parametrize("padding", [b"\0\0\0", b"\xff\xff", b"\0junk\xff\xd0junk"])
@pytest.mark.parametrize("progressive", [False, True])
def test_padding_before_the_pixels_of_a_jpeg_is_not_an_error(padding: bytes, *, progressive: bool) -> None:
    whole = photo(format="JPEG", progressive=progressive)
    start = whole.index(b"\xff\xdb")

    result = processed(whole[:start] + padding + whole[start:], "convert", {"format": "png"})

    assert numpy.abs(pixels(result) - pixels(whole)).max() <= 1


@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_marker_has_all_pixels(missing: int) -> None:
    whole = photo(400, 300, format="JPEG", quality=95)

    result = processed(whole[:-missing], "convert", {"format": "png"})

    assert numpy.abs(pixels(result) - pixels(whole)).max() <= 1


def test_a_jpeg_without_its_end_marker_is_shrunk_while_it_is_decoded() -> None:
    whole = photo(400, 300, format="JPEG", quality=95)
    with opened(whole) as image:
        expected = numpy.asarray(image.reduce(8)).astype(int)

    result = processed(whole[:-2], "resize", {"width": 50, "output": {"format": "png"}})

    smooth = numpy.abs(pixels(result) - expected)[..., :2]  # the third band has edges
    assert smooth.max() <= 4


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_bytes_or_its_last_scan_is_refused(*, progressive: bool) -> None:
    whole = photo(400, 300, format="JPEG", quality=95, progressive=progressive)
    cut = [whole[:-end] for end in (3, 4, 20)] + [whole[: whole.rindex(b"\xff\xda")]]

    for content in cut:
        with pytest.raises(ImageError, match=r"truncated|corrupt"):
            processed(content, "convert", {"format": "png"})


def test_a_cut_jpeg_with_arithmetic_codes_is_refused() -> None:
    quantizers = b"\xff\xdb\0\x43\0" + bytes([16] * 64)
    frame = b"\xff\xc9\0\x0b\x08" + struct.pack(">HH", 160, 160) + b"\x01\x01\x11\0"
    scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    codes = random.Random(1).randbytes(60).replace(b"\xff", b"\0")

    with pytest.raises(ImageError, match="the file is truncated"):
        processed(b"\xff\xd8" + quantizers + frame + scan + codes, "convert", {"format": "png"})


def test_warnings_are_noticed_after_logging_is_set_up() -> None:
    whole = LOSING["CCITT group 3"]()
    assert processed(whole, "convert", {"format": "png"})

    logging.getLogger("pyvips").handlers.clear()  # as service_kit.logs does

    with pytest.raises(ImageError, match="Line length mismatch"):
        processed(changed(whole, 1200, 30), "convert", {"format": "png"})


def test_a_damaged_file_does_not_affect_the_next() -> None:
    with pytest.raises(ImageError):
        processed(changed(LOSING["progressive JPEG"](), 1500, 30), "convert", {"format": "png"})

    assert processed(photo(format="JPEG"), "convert", {"format": "png"})


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_orientation_that_does_not_exist_is_not_an_error(orientation: int) -> None:
    source = photo(format="TIFF", tiffinfo={274: orientation})

    result = processed(source, "convert", {"format": "png"})

    assert (pixels(result) == pixels(photo())).all()


@pytest.mark.parametrize("width", [30, 15, 7])
def test_a_lossless_jpeg_is_shrunk_as_a_whole(width: int) -> None:
    source = bytes(imagecodecs.jpeg8_encode(grid(), lossless=True))
    params = {"width": width, "height": width, "fit": "fill", "output": {"format": "png"}}

    result = processed(source, "resize", params)

    assert numpy.abs(pixels(result) - pixels(processed(photo(mode="RGB"), "resize", params))).max() <= 1


def test_premultiplied_colors_of_an_avif_are_divided_by_their_alpha() -> None:
    image = opened(photo(mode="RGB")).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda value: 64 + value // 2))
    source = encoded(image, "AVIF", quality=100, subsampling="4:4:4", alpha_premultiplied=True)

    result = processed(source, "convert", {"format": "png"})

    assert b"prem" in source
    assert numpy.abs(pixels(result) - numpy.asarray(opened(source)).astype(int)).max() <= 8


@pytest.mark.parametrize(
    ("format", "name"), [("AVIF", "avif"), ("TIFF", "tiff"), ("GIF", "gif"), ("WEBP", "webp"), ("JPEG", "jpeg")]
)
def test_info_names_the_format(format: str, name: str) -> None:
    assert report(photo(format=format), "info")["format"] == name


def test_an_unknown_tag_is_not_an_error() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels(photo()).astype("uint8"), extratags=[(65_000, "s", 0, "odd", True)])

    assert numpy.array_equal(pixels(processed(file.getvalue(), "convert", {"format": "png"})), pixels(photo()))


PCX = encoded(Image.new("RGB", (8, 8)), "PCX")


def test_the_error_for_an_unknown_format_lists_the_known_formats() -> None:
    with pytest.raises(ImageError, match=r"known format \(JPEG, PNG, WebP, GIF, TIFF, AVIF, HEIC, JPEG XL, .*PDF\)"):
        processed(PCX, "info")


def turned(orientation: int, format: str, frames: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    first, *others = [opened(photo(40, 20)).rotate(180 * number) for number in range(frames)]
    options = {"lossless": True} if format == "WEBP" else {}
    return encoded(first, format, save_all=True, append_images=others, exif=exif, duration=100, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["WEBP", "TIFF"])
def test_every_frame_is_rotated_upright(format: str, orientation: int) -> None:
    source = turned(orientation, format, 2)
    upright = ImageOps.exif_transpose(opened(turned(orientation, "PNG", 1)))

    result = Image.open(io.BytesIO(processed(source, "convert", {"format": "webp", "lossless": True})))

    assert getattr(result, "n_frames", 1) == 2
    assert result.getexif().get(0x0112, 1) == 1
    for number in range(2):
        result.seek(number)
        frame = numpy.asarray(result.convert("RGB"))
        assert numpy.array_equal(frame, numpy.asarray(upright.rotate(180 * number)))
    assert report(source, "info")["width"] == upright.width


def pages(*shapes: tuple[int, int], reduced: Sequence[int] = ()) -> bytes:
    """Return a TIFF whose pages each have a single color: 10, 20, 30 …"""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        for number, shape in enumerate(shapes):
            page = numpy.full((*shape, 3), 10 * (number + 1), "uint8")
            tiff.write(page, photometric="rgb", subfiletype=1 if number in reduced else 0, metadata=None)
    return file.getvalue()


@pytest.mark.parametrize("algorithm", ["convert", "resize", "flip"])
def test_a_still_of_pages_of_different_sizes_is_the_first(algorithm: str) -> None:
    params: dict[str, object] = {"format": "png"} if algorithm == "convert" else {"output": {"format": "png"}}
    params |= {"width": 30, "height": 20} if algorithm == "resize" else {}

    result = opened(processed(pages((20, 30), (8, 9)), algorithm, params))

    assert (result.size, result.getpixel((3, 3))) == ((30, 20), (10, 10, 10))


def test_info_lists_pages_of_different_sizes() -> None:
    found = report(pages((20, 30), (8, 9)), "info")

    assert (found["width"], found["height"], found["frames"]) == (30, 20, 2)
    assert found["pages"] == [{"width": 30, "height": 20}, {"width": 9, "height": 8}]


@pytest.mark.parametrize("target", ["source", "auto", "tiff", "webp", "gif"])
@pytest.mark.parametrize(("source", "expected"), [({}, (30, 20)), ({"frames": 2}, (30, 20)), ({"page": 2}, (9, 8))])
def test_one_page_is_read_if_pages_differ_in_size(
    source: dict[str, object], expected: tuple[int, int], target: str
) -> None:
    result = opened(processed(pages((20, 30), (8, 9)), "convert", {"format": target, "source": source}))

    assert (result.size, getattr(result, "n_frames", 1)) == (expected, 1)
    assert result.convert("RGB").getpixel((3, 3)) == ((20, 20, 20) if source.get("page") == 2 else (10, 10, 10))


@pytest.mark.parametrize("reduced", [0, 1])
def test_a_reduced_copy_of_a_page_does_not_count_as_a_page(reduced: int) -> None:
    source = pages((8, 9), (20, 30), reduced=[0]) if reduced == 0 else pages((20, 30), (8, 9), reduced=[1])

    result = opened(processed(source, "flip"))

    assert (result.size, getattr(result, "n_frames", 1)) == ((30, 20), 1)
    assert result.getpixel((3, 3)) == ((20, 20, 20) if reduced == 0 else (10, 10, 10))


def test_pages_of_different_kinds_are_all_read() -> None:
    gray, color = Image.new("L", (30, 20), 90), Image.new("RGB", (30, 20), (200, 10, 20))

    result = Image.open(
        io.BytesIO(processed(encoded(gray, "TIFF", save_all=True, append_images=[color]), "convert", {}))
    )

    seen = []
    for number in range(2):
        result.seek(number)
        seen.append(result.convert("RGB").getpixel((3, 3)))
    assert seen == [(90, 90, 90), (200, 10, 20)]


TONES = (10, 20, 30)
"""The gray of each page of :func:`stored`."""


def stored(*kinds: dict[str, object], height: int = 20, big: bool = False) -> bytes:
    """Return a TIFF of pages of 30 by 20 pixels that are stored in different ways.

    :param height: that of the second page.
    :param big: as BigTIFF.
    """
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=big) as writer:
        for number, kind in enumerate(kinds):
            page = numpy.full((height if number == 1 else 20, 30, 3), TONES[number], "uint8")
            if kind.get("planarconfig") == "separate":
                page = page.transpose(2, 0, 1)
            getattr(writer, "write")(page, **{"photometric": "rgb", "metadata": None, **kind})  # noqa: B009
    return file.getvalue()


PLAIN: dict[str, object] = {}
UNREAD_PAGES: dict[str, tuple[dict[str, object], str]] = {
    "ZSTD": ({"compression": "zstd"}, r"compression \(ZSTD\) is not supported"),
    "ZSTD in tiles": ({"compression": "zstd", "tile": (16, 16)}, r"compression \(ZSTD\) is not supported"),
    "LZMA": ({"compression": "lzma"}, r"compression \(LZMA\) is not supported"),
    "LERC": ({"compression": "lerc"}, r"compression \(LERC\) is not supported"),
    "JPEG 2000": ({"compression": "jpeg2000"}, r"compression \(JPEG 2000\) is not supported"),
    "fax colors": ({"photometric": 10}, "has ITU .* of fax, which is not supported"),
    "planes in tiles": ({"planarconfig": "separate", "tile": (16, 16)}, "tiles in separate planes are not supported"),
}


@pytest.mark.parametrize("height", [20, 9])
@pytest.mark.parametrize("kind", UNREAD_PAGES)
def test_a_page_that_cannot_be_read_does_not_affect_the_others(kind: str, height: int) -> None:
    unread, reason = UNREAD_PAGES[kind]
    source = stored(PLAIN, unread, PLAIN, height=height)

    def tone(**source_params: int) -> object:
        shown = opened(processed(source, "convert", {"format": "png", "source": source_params}))
        assert shown.size == (30, 20)
        return numpy.unique(numpy.asarray(shown)).tolist()

    assert tone() == tone(page=1) == [TONES[0]]
    assert tone(page=3) == [TONES[2]]
    with pytest.raises(ImageError, match=reason):
        tone(page=2)


WITHOUT_MEANING = {
    "float above 1": numpy.full((20, 30), 2.5, "f4"),
    "NaN": numpy.full((20, 30), numpy.nan, "f4"),
    "signed": numpy.full((20, 30), -5, "i2"),
}


@pytest.mark.parametrize("kind", WITHOUT_MEANING)
def test_a_page_whose_samples_have_no_meaning_does_not_affect_the_others(kind: str) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(numpy.full((20, 30, 3), TONES[0], "uint8"), photometric="rgb")
        writer.write(WITHOUT_MEANING[kind], photometric="minisblack")

    shown = opened(processed(file.getvalue(), "convert", {"format": "png"}))
    read = report(file.getvalue(), "info")

    assert numpy.unique(numpy.asarray(shown)).tolist() == [TONES[0]]
    assert read["width"] == 30
    with pytest.raises(ImageError, match="samples"):
        processed(file.getvalue(), "convert", {"format": "png", "source": {"page": 2}})


@pytest.mark.parametrize("kind", UNREAD_PAGES)
def test_the_second_page_is_read_although_the_first_cannot_be(kind: str) -> None:
    unread, reason = UNREAD_PAGES[kind]
    source = stored(unread, PLAIN)

    assert pixels(processed(source, "convert", {"format": "png", "source": {"page": 2}})).max() == TONES[1]
    with pytest.raises(ImageError, match=reason):
        processed(source, "convert", {"format": "png"})


@pytest.mark.parametrize("samples", ["complex64", "complex128", "float64", "int64", "uint64"])
def test_the_second_page_is_read_although_the_first_has_samples_that_libvips_refuses(samples: str) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(numpy.full((20, 30), 7).astype(samples), photometric="minisblack")
        writer.write(numpy.full((20, 30), TONES[1], "uint8"), photometric="minisblack")

    shown = pixels(processed(file.getvalue(), "convert", {"format": "png", "source": {"page": 2}}))

    assert numpy.unique(shown).tolist() == [TONES[1]]
    with pytest.raises(ImageError, match="kind of samples is not supported"):
        processed(file.getvalue(), "convert", {"format": "png"})


@pytest.mark.parametrize("target", ["source", "tiff", "webp"])
@pytest.mark.parametrize("kind", UNREAD_PAGES)
def test_losing_pages_that_cannot_be_read_is_an_error(kind: str, target: str) -> None:
    source = stored(PLAIN, PLAIN, UNREAD_PAGES[kind][0])

    with pytest.raises(ImageError, match=r"^Page 3 of this TIFF cannot be read, so only the first page is. To get it"):
        processed(source, "convert", {"format": target})
    result = opened(processed(source, "convert", {"format": target, "source": {"frames": 2}}))
    assert getattr(result, "n_frames", 1) == 2


def with_compression(content: bytes, page: int, number: int, kind: str, count: int) -> bytes:
    """Return the TIFF whose page has this compression, stored ``count`` times, at the end unless it fits its row."""
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        place, is_big = file.pages[page].aspage().tags[259].offset, file.is_bigtiff
    values = struct.pack(f"<{count}{kind}", *[number] * count)
    field, changed = "8s" if is_big else "4s", bytearray(content)
    if len(values) > struct.calcsize(field):
        changed, values = changed + values, struct.pack("<Q" if is_big else "<I", len(changed))
    struct.pack_into(f"<HH{'Q' if is_big else 'I'}{field}", changed, place, 259, KINDS[kind], count, values)
    return bytes(changed)


KINDS = {"H": 3, "I": 4, "Q": 16}
"""Types of TIFF 6.0 and BigTIFF, by their formats of ``struct``."""


@pytest.mark.parametrize(("kind", "count"), [("H", 1), ("H", 2), ("H", 3), ("H", 5), ("I", 1), ("I", 3), ("Q", 1)])
@pytest.mark.parametrize("big", [False, True])
def test_an_unread_page_may_store_its_compression_for_each_sample(*, big: bool, kind: str, count: int) -> None:
    """TIFF 5.0 and earlier; libtiff reads any type."""
    source = with_compression(stored(PLAIN, PLAIN, PLAIN, big=big), 1, 50000, kind, count)

    for page in (1, 3):
        shown = pixels(processed(source, "convert", {"format": "png", "source": {"page": page}}))
        assert numpy.unique(shown).tolist() == [TONES[page - 1]]


def test_a_tiff_of_jpeg_pages_is_read_by_a_new_process() -> None:
    """A process learns at its first such file whether libtiff has a decoder of JPEG."""
    first, second = (Image.new("RGB", (64, 48), color) for color in ((90, 120, 150), (200, 10, 20)))
    source = encoded(first, "TIFF", save_all=True, append_images=[second], compression="jpeg")
    _has_decoder.cache_clear()

    result = processed(source, "convert", {"format": "png", "source": {"page": 2}})

    expected = ImageSequence.all_frames(opened(source))[1].convert("RGB")
    assert numpy.abs(pixels(result).astype(int) - numpy.asarray(expected)).max() <= 2


def test_a_named_file_may_have_the_padding_that_a_source_may_have() -> None:
    """libjpeg warns of it in the words that it has for lost pixels, too."""
    mark = photo(format="JPEG")
    tables = mark.index(b"\xff\xc4")
    padded = mark[:tables] + bytes(3) + mark[tables:]

    results = [processed(photo(), "overlay", {"file_id": 7}, {7: content}) for content in (mark, padded)]

    assert numpy.array_equal(pixels(results[0]), pixels(results[1]))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_error_for_a_damaged_named_file_names_it(format: str) -> None:
    whole = photo(format=format)

    with pytest.raises(ImageError, match=r"^File 7: The image cannot be decoded: .*(truncated|corrupt)"):
        processed(photo(), "overlay", {"file_id": 7}, {7: whole[: len(whole) * 2 // 3]})


def test_the_error_for_a_named_file_whose_samples_have_no_meaning_names_it() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, WITHOUT_MEANING["float above 1"], photometric="minisblack")

    with pytest.raises(ImageError, match=r"^File 7: The image has floating-point samples"):
        processed(photo(), "overlay", {"file_id": 7}, {7: file.getvalue()})


def test_a_damaged_source_is_refused_although_a_named_file_is_intact() -> None:
    whole = photo(format="JPEG")

    with pytest.raises(ImageError, match=r"^The image cannot be decoded: the file is truncated"):
        processed(whole[:-200], "overlay", {"file_id": 7}, {7: whole})


WAYS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "two compressions": ({"compression": "zlib"}, {"compression": "lzw"}),
    "compressed and not": ({"compression": "zlib"}, PLAIN),
    "strips of different heights": ({"rowsperstrip": 4}, {"rowsperstrip": 20}),
    "tiles of different sizes": ({"tile": (16, 16)}, {"tile": (32, 16)}),
    "tiles and strips": ({"tile": (16, 16)}, PLAIN),
}


@pytest.mark.parametrize("ways", WAYS)
def test_pages_that_are_stored_in_different_ways_are_all_read(ways: str) -> None:
    result = processed(stored(*WAYS[ways]), "convert", {"format": "tiff"})

    assert [color for color, _ in frames_of(result)] == [[tone] * 3 for tone in TONES[:2]]


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LINEAR = SRGB.replace(b"para", b"curv" + bytes(8) + b"para", 1)[: len(SRGB)]
SWAPPED = SRGB.replace(b"rXYZ", b"....", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"....", b"bXYZ", 1)
COLORS = [(188, 100, 50), (30, 200, 120), (90, 20, 160)]


class Page(NamedTuple):
    """The color storage of a page; with a single band, only the first sample counts."""

    bits: int = 8
    bands: int = 3
    profile: bytes | None = None


PAGES = {
    "8 and 16 bits": [Page(), Page(16)],
    "16 and 8 bits": [Page(16), Page()],
    "gray of 8 and colors of 16 bits": [Page(bands=1), Page(16)],
    "8 bits and floating point": [Page(), Page(32)],
    "with and without alpha": [Page(), Page(16, bands=4), Page(bands=1)],
    "a profile and none": [Page(profile=LINEAR), Page()],
    "none and a profile": [Page(), Page(profile=LINEAR)],
    "two profiles": [Page(profile=LINEAR), Page(profile=SWAPPED), Page(profile=LINEAR)],
    "one profile in 8 and 16 bits": [Page(profile=SWAPPED), Page(16, profile=SWAPPED)],
    "one profile": [Page(profile=SWAPPED), Page(profile=SWAPPED)],
}


def document(made: Sequence[Page]) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        for page, color in zip(made, COLORS, strict=False):
            values = numpy.broadcast_to((*color, 255)[: page.bands], (20, 30, page.bands)).squeeze()
            values = {8: values, 16: values * 257, 32: values / 255}[page.bits]
            getattr(tiff, "write")(  # noqa: B009 (tifffile accepts more than its types say)
                values.astype({8: "uint8", 16: "uint16", 32: "float32"}[page.bits]),
                photometric="minisblack" if page.bands == 1 else "rgb",
                extrasamples=["unassalpha"] if page.bands == 4 else None,
                iccprofile=page.profile,
                metadata=None,
            )
    return file.getvalue()


def as_littlecms_shows(color: Sequence[int], profile: bytes | None) -> numpy.ndarray:
    image = Image.new("RGB", (1, 1), tuple(color))
    if profile is not None:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, embedded, ImageCms.createProfile("sRGB"))
        assert converted is not None
        image = converted
    return numpy.asarray(image).astype(int).reshape(-1)


@pytest.mark.parametrize(
    ("algorithm", "output"),
    [
        ("convert", {"format": "tiff"}),
        ("convert", {"format": "tiff", "profile": "strip"}),
        ("convert", {"format": "webp", "lossless": True}),
        ("convert", {"format": "gif"}),
        ("convert", {"format": "png"}),
        ("resize", {"format": "tiff"}),
        ("brightness", {"format": "tiff"}),
    ],
)
@pytest.mark.parametrize("kind", PAGES)
def test_every_page_has_its_own_depth_and_profile(kind: str, algorithm: str, output: dict[str, object]) -> None:
    steps: dict[str, dict[str, object]] = {"resize": {"width": 9}, "brightness": {"amount": 0}}
    params = steps[algorithm] | {"output": output} if algorithm in steps else output

    result = processed(document(PAGES[kind]), algorithm, params)

    shown = frames_of(result)
    assert len(shown) == (1 if output["format"] == "png" else len(PAGES[kind]))
    for page, color, (seen, profile) in zip(PAGES[kind], COLORS, shown, strict=False):
        expected = as_littlecms_shows(color[:1] * 3 if page.bands == 1 else color, page.profile)
        assert numpy.abs(as_littlecms_shows(seen, profile) - expected).max() <= 3, page


def frames_of(content: bytes) -> Sequence[tuple[Sequence[int], bytes | None]]:
    """Return each frame's color in 8 bits, and its profile."""
    if content[:4] in (b"II*\0", b"MM\0*"):
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            found = [(page.asarray(), getattr(page, "iccprofile", None)) for page in tiff.pages]
    else:
        image = Image.open(io.BytesIO(content))
        profile = image.info.get("icc_profile")
        found = [(numpy.asarray(frame.convert("RGB")), profile) for frame in ImageSequence.all_frames(image)]
    colors = [values[3, 3] / {"uint8": 1, "uint16": 257, "float32": 1 / 255}[values.dtype.name] for values, _ in found]
    return [
        ([round(float(value)) for value in numpy.resize(color[:3], 3)], profile)
        for color, (_, profile) in zip(colors, found, strict=True)
    ]


def sequence(format: str) -> bytes:
    return animation(32, 24, 3, format)


@pytest.mark.parametrize("format", ["PNG", "AVIF"])
def test_the_first_frame_of_a_sequence_is_read_if_one_is_enough(format: str) -> None:
    result = opened(processed(sequence(format), "convert", {"format": "png"}))

    expected = numpy.asarray(opened(sequence(format)).convert("RGB")).astype(int)
    assert numpy.abs(numpy.asarray(result.convert("RGB")).astype(int) - expected).max() <= 3
    assert report(sequence(format), "dominant_colors")


@pytest.mark.parametrize("target", ["webp", "gif", "source"])
@pytest.mark.parametrize("format", ["PNG", "AVIF"])
def test_losing_frames_of_a_sequence_is_an_error(format: str, target: str) -> None:
    with pytest.raises(ImageError, match=rf"This {format} is an animation of 3 frames, of which only .* To get it"):
        processed(sequence(format), "convert", {"format": target})


@pytest.mark.parametrize("target", ["webp", "gif", "source"])
@pytest.mark.parametrize("format", ["PNG", "AVIF"])
def test_no_frame_of_a_sequence_is_lost_if_only_one_was_asked_for(format: str, target: str) -> None:
    result = opened(processed(sequence(format), "convert", {"format": target, "source": {"frames": 1}}))

    expected = numpy.asarray(opened(sequence(format)).convert("RGB")).astype(int)
    assert getattr(result, "n_frames", 1) == 1
    assert numpy.abs(numpy.asarray(result.convert("RGB")).astype(int) - expected).max() <= 6


@pytest.mark.parametrize("format", ["PNG", "AVIF"])
def test_more_frames_of_a_sequence_than_can_be_read_are_an_error(format: str) -> None:
    with pytest.raises(ImageError, match=rf"This {format} is an animation of 3 frames, of which only"):
        processed(sequence(format), "convert", {"format": "webp", "source": {"frames": 2}})


@pytest.mark.parametrize("frames", [2, 3, 5])
@pytest.mark.parametrize("format", ["PNG", "AVIF"])
def test_info_counts_the_frames_of_a_sequence(format: str, frames: int) -> None:
    source = animation(32, 24, frames, format)
    assert getattr(Image.open(io.BytesIO(source)), "n_frames", 1) == frames

    assert report(source, "info")["frames"] == frames


def test_an_avif_sequence_is_recognized_by_its_tracks() -> None:
    source = sequence("AVIF").replace(b"ftypavis", b"ftypavif", 1)

    assert report(source, "info")["frames"] == 3


def test_an_avif_with_a_single_picture_has_one_frame() -> None:
    assert report(photo(format="AVIF"), "info")["frames"] == 1


@pytest.mark.parametrize("target", ["png", "jpeg", "avif"])
@pytest.mark.parametrize("algorithm", ["flip", "blur"])
def test_the_first_frame_of_an_animated_png_becomes_one_still(algorithm: str, target: str) -> None:
    result = opened(processed(sequence("PNG"), algorithm, {"output": {"format": target}}))

    assert (result.size, getattr(result, "n_frames", 1)) == ((32, 24), 1)


@pytest.mark.parametrize("frames", [0, 2**31, 2**31 + 1, 2**32 - 1])
def test_an_impossible_number_of_png_frames_is_ignored(frames: int) -> None:
    still = photo(8, 6)
    chunk = b"acTL" + frames.to_bytes(4, "big") + bytes(4)
    after_header = 8 + 25
    control = (8).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")

    result = processed(still[:after_header] + control + still[after_header:], "flip")

    assert numpy.array_equal(pixels(result), pixels(still)[:, ::-1])


def of_kinds(path: Path) -> Path:
    """Return a TIFF with pages that libvips cannot load together, and an Orientation that it refuses."""
    first, *others = [Image.new(mode, (8, 8)) for mode in ("L", "RGB", "L")]
    first.save(path, "TIFF", save_all=True, append_images=others, tiffinfo={274: 9})
    return path


def test_the_pages_of_a_mended_tiff_share_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, mapped = of_kinds(tmp_path / "source"), list[int]()

    def counted(*args: int, **options: int) -> mmap:
        mapped.append(args[0])
        return mmap(*args, **options)

    monkeypatch.setattr(mended_tiff, "mmap", counted)

    decoded = decode(source, LIMITS, sequential=False)

    assert [frame.avg() for frame in decoded.picture.frames] == [0, 0, 0]
    assert len(mapped) == 1


def test_a_tiff_that_cannot_be_mended_for_lack_of_memory_is_not_an_unexpected_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> mmap:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(mended_tiff, "mmap", fails)

    with pytest.raises(MemoryError):
        decode(of_kinds(tmp_path / "source"), LIMITS, sequential=False)


def test_overlapping_directories_of_a_tiff_are_not_all_read(tmp_path: Path) -> None:
    directories, entries, distance = 200, 4096, 6
    begins = [8 + number * distance for number in range(directories)]
    content = bytearray(begins[-1] + 2 + 12 * entries + 4)
    content[:8] = struct.pack("<2sHI", b"II", 42, begins[0])
    for begin, following in zip(begins, [*begins[1:], 0], strict=True):
        struct.pack_into("<H", content, begin, entries)
        struct.pack_into("<I", content, begin + 2 + 12 * entries, following)
    source = tmp_path / "source"
    source.write_bytes(content)

    assert len(tiff.directories(source)) < directories
