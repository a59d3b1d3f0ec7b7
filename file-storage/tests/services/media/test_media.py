"""Media types and sizes are detected from the bytes."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import IO

import cv2
import imagecodecs
import numpy
import pillow_heif
import pytest
import pyvips
from file_storage.services.media.media import MAX_IMAGE_BYTES, Media, media_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.turned import IN_JPEG, MARKED_IN_PNG, PLAIN_IN_PNG, exif, jpeg_with, png_with, size_of


def image(kind: str, **options: object) -> bytes:
    written = BytesIO()
    Image.new("RGB", (30, 20)).save(written, kind, **options)
    return written.getvalue()


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("TIFF", "image/tiff"),
        ("AVIF", "image/avif"),
        ("BMP", "image/bmp"),
    ],
)
def test_the_type_and_size_of_an_image_are_detected(kind: str, media_type: str) -> None:
    assert media_of(BytesIO(image(kind))) == Media(media_type, 30, 20)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP"])
def test_the_header_alone_is_enough_for_the_size(kind: str) -> None:
    written = BytesIO()
    Image.effect_noise((300, 200), 100).save(written, kind)

    media = media_of(BytesIO(written.getvalue()[:2000]))

    assert (media.width, media.height) == (300, 200)


@pytest.mark.parametrize(("bits", "compression", "masks"), [(2, 0, ()), (16, 3, (0xF00, 0xF0, 0xF))])
@pytest.mark.parametrize("height", [20, -20])
def test_the_size_of_a_bmp_that_pillow_does_not_open_is_detected(
    bits: int, compression: int, masks: tuple[int, ...], height: int
) -> None:
    head = struct.pack("<IiiHHIIiiII", 40, 30, height, 1, bits, compression, 0, 0, 0, 0, 0)
    head += struct.pack(f"<{len(masks)}I", *masks)
    content = b"BM" + struct.pack("<I4xI", 54, 54) + head + bytes(2000)

    assert media_of(BytesIO(content)) == Media("image/bmp", 30, 20)


def test_an_icon_has_the_size_of_its_largest_picture() -> None:
    assert media_of(BytesIO(image("ICO", sizes=[(16, 16), (30, 20), (8, 8)]))) == Media("image/x-icon", 30, 20)


def test_an_icon_is_not_decoded_for_its_size() -> None:
    assert media_of(BytesIO(image("ICO", sizes=[(30, 20)])[:60])) == Media("image/x-icon", 30, 20)


def test_the_type_and_size_of_a_psd_are_detected() -> None:
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 20, 30, 8, 3)

    assert media_of(BytesIO(header)) == Media("image/vnd.adobe.photoshop", 30, 20)


@pytest.mark.parametrize(
    ("root", "size"),
    [
        ("<svg width='30' height='20'/>", (30, 20)),
        ("<svg:svg xmlns:svg='http://www.w3.org/2000/svg' viewBox='0 0 30 20'>", (30, 20)),
        ("<svg viewBox='0,0,30,20' width='60px' height='50%'>", (60, 40)),
        ("<svg>", (300, 150)),
        ("<svg width='1in' height='2.54cm'>", (96, 96)),
        ("<svg width='-3' viewBox='0 0 0 0'>", (300, 150)),
        ("<svg width='1e400'/>", (None, None)),
        ("<svg width='0' height='20'/>", (None, None)),
        ("<svg width='30", (None, None)),
    ],
)
def test_an_svg_has_the_size_that_browsers_give_it(root: str, size: tuple[int | None, int | None]) -> None:
    assert media_of(BytesIO(f'<?xml version="1.0"?>\n{root}'.encode())) == Media("image/svg+xml", *size)


SVG = "<svg xmlns='http://www.w3.org/2000/svg' width='30' height='20'/>"
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


@pytest.mark.parametrize(
    "content",
    [
        f"<?xml version='1.0'?><!-- {'x' * 50_000} -->{SVG}".encode(),
        f"{BOM}<?xml version='1.0' encoding='UTF-16'?>{SVG}".encode("utf-16-le"),
        f"{BOM}{SVG}".encode("utf-16-be"),
    ],
)
def test_an_svg_is_detected_by_its_root_after_comments_and_in_utf_16(content: bytes) -> None:
    assert media_of(BytesIO(content)) == Media("image/svg+xml", 30, 20)


def heic(brand: bytes, *properties: bytes) -> bytes:
    """Return a HEIC without pixels whose primary item is item 2, with these properties."""
    thumbnail = box(b"ispe", struct.pack(">4xII", 8, 8))
    associated = [*range(2, len(properties) + 2)]
    ipma = struct.pack(">4xIHBBHB", 2, 1, 1, 1, 2, len(associated)) + bytes(0x80 | index for index in associated)
    iprp = box(b"iprp", box(b"ipco", thumbnail + b"".join(properties)) + box(b"ipma", ipma))
    meta = box(b"meta", bytes(4) + box(b"pitm", struct.pack(">4xH", 2)) + iprp)
    return box(b"ftyp", brand + bytes(4) + b"mif1" + brand) + box(b"free", bytes(10)) + meta


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


SIZE = box(b"ispe", struct.pack(">4xII", 30, 20))


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"heim"])
@pytest.mark.parametrize(
    ("properties", "size"),
    [
        ([SIZE], (30, 20)),
        ([SIZE, box(b"irot", b"\1")], (20, 30)),
        ([SIZE, box(b"irot", b"\2")], (30, 20)),
        ([SIZE, box(b"irot", b"\3"), box(b"imir", b"\0")], (20, 30)),
        ([SIZE, box(b"clap", struct.pack(">8I", 28, 1, 18, 1, 0, 1, 0, 1)), box(b"irot", b"\1")], (18, 28)),
    ],
)
def test_a_heic_has_the_size_of_its_primary_picture_as_displayed(
    brand: bytes, properties: list[bytes], size: tuple[int, int]
) -> None:
    assert media_of(BytesIO(heic(brand, *properties))) == Media("image/heic", *size)


CROPS = [((32, 1), (24, 1)), ((65, 2), (49, 2)), ((64, 3), (49, 3)), ((640, 15), (480, 15)), ((200, 7), (160, 7))]


def cropped(kind: str, width: tuple[int, int], height: tuple[int, int]) -> bytes:
    """Return an image whose clean aperture has these fractions as sides (ISO/IEC 14496-12, 12.1.4)."""
    aperture = box(b"clap", struct.pack(">8I", *width, *height, 0, 1, 0, 1))
    buffer = BytesIO()
    if kind == "HEIC":
        pillow_heif.from_pillow(Image.new("RGB", (64, 48), "red")).save(buffer)
        content = buffer.getvalue()
        place = content.index(b"clap") - 4  # the encoder crops its multiple of 8
        return content[:place] + aperture + content[place + len(aperture) :]
    Image.new("RGB", (64, 48), "red").save(buffer, "AVIF", icc_profile=bytes(28))
    content = buffer.getvalue()
    place = content.index(b"colrprof") - 4
    length = len(aperture)
    assert content[place : place + 4] == struct.pack(">I", length)
    associated = content.index(b"ipma") + 4 + 4 + 4 + 2
    indexes = bytearray(content[associated + 1 : associated + 1 + content[associated]])
    boxes = content[content.index(b"ipco") + 4 : place]
    number = sum(boxes.count(name) for name in (b"ispe", b"pixi", b"av1C")) + 1
    indexes[indexes.index(number)] |= 0x80  # readers ignore it unless it is essential
    content = content[: associated + 1] + bytes(indexes) + content[associated + 1 + len(indexes) :]
    return content[:place] + aperture + content[place + length :]


@pytest.mark.parametrize(("width", "height"), CROPS)
@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_a_cropped_image_has_the_size_that_libheif_shows(
    kind: str, width: tuple[int, int], height: tuple[int, int]
) -> None:
    content = cropped(kind, width, height)
    if kind == "HEIC":
        shown = pillow_heif.open_heif(content)[0].size
    else:
        opened = pyvips.Image.new_from_buffer(content, "")
        shown = opened.width, opened.height

    media = media_of(BytesIO(content))

    assert (media.width, media.height) == shown != (64, 48)


@pytest.mark.parametrize("brand", [b"mif1", b"mif2", b"msf1"])
def test_a_heif_whose_brands_do_not_name_the_codec_is_detected(brand: bytes) -> None:
    content = heic(brand, SIZE, box(b"hvcC", bytes(30)))

    assert media_of(BytesIO(content)) == Media("image/heif", 30, 20)


def test_a_heif_with_the_major_brand_of_avif_is_not_heic() -> None:
    content = image("AVIF").replace(b"ftypavif\0\0\0\0avif", b"ftypavif\0\0\0\0heic")

    assert media_of(BytesIO(content)) == Media("image/avif", 30, 20)


@pytest.mark.parametrize("length", range(40, 120, 7))
def test_a_truncated_heic_has_no_size(length: int) -> None:
    assert media_of(BytesIO(heic(b"heic", SIZE)[:length])) == Media("image/heic")


SIDES = [(1, 1), (8, 8), (256, 8), (257, 100), (600, 8), (64, 48), (120, 100), (150, 100), (125, 100), (1920, 1080)]
"""Widths and heights for each way in which a JPEG XL stores its size: multiples of 8, a ratio, or two numbers."""


@pytest.mark.parametrize("size", [*SIDES, (200, 100), (9000, 7), (7, 9000), (270000, 1)])
@pytest.mark.parametrize("in_container", [False, True])
def test_the_size_of_a_jpeg_xl_is_detected(size: tuple[int, int], *, in_container: bool) -> None:
    pixels = numpy.zeros((size[1], size[0]), "uint8")
    content = imagecodecs.jpegxl_encode(pixels, lossless=True, effort=1, usecontainer=in_container)

    assert media_of(BytesIO(content)) == Media("image/jxl", *size)


def test_the_size_of_a_jpeg_xl_in_numbered_parts_is_detected() -> None:
    stream = imagecodecs.jpegxl_encode(numpy.zeros((48, 64), "uint8"), lossless=True)
    start = b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl \0\0\0\0jxl ") + box(b"Exif", bytes(4))
    parts = box(b"jxlp", bytes(4) + stream[:3]) + box(b"jxlp", b"\x80\0\0\1" + stream[3:])

    assert media_of(BytesIO(start + parts)) == Media("image/jxl", 64, 48)


@pytest.mark.parametrize("length", [2, 3])
def test_a_truncated_jpeg_xl_has_no_size(length: int) -> None:
    content = imagecodecs.jpegxl_encode(numpy.zeros((48, 65), "uint8"), lossless=True)

    assert media_of(BytesIO(content[:length])) == Media("image/jxl")


def test_a_size_too_large_for_the_database_is_omitted() -> None:
    assert media_of(BytesIO(b"8BPS" + struct.pack(">H6xHII", 1, 3, 2**32 - 1, 1))).width is None


HUGE = 8 * MAX_IMAGE_BYTES


def webp_of_one_chunk(file: IO[bytes]) -> None:
    file.write(b"RIFF" + struct.pack("<I", HUGE - 8) + b"WEBPVP8 ")


def avif_of_one_box(file: IO[bytes]) -> None:
    file.write(struct.pack(">I", 24) + b"ftypavif\0\0\0\0avifmif1" + struct.pack(">I", HUGE - 24) + b"meta")


def tiff_with_a_long_tag(file: IO[bytes]) -> None:
    xmp, bytes_of = 700, 1
    file.write(b"II*\0" + struct.pack("<IHHHII", 8, 1, xmp, bytes_of, HUGE - 100, 50))


def png_with_a_long_profile(file: IO[bytes]) -> None:
    file.write(image("PNG")[:33] + struct.pack(">I", HUGE - 100) + b"iCCP")


def jpeg_of_segments(file: IO[bytes]) -> None:
    file.write(b"\xff\xd8")
    for start in range(2, HUGE, 65537):
        file.seek(start)
        file.write(b"\xff\xe2\xff\xff")


@pytest.mark.parametrize(
    "written",
    [webp_of_one_chunk, avif_of_one_box, tiff_with_a_long_tag, png_with_a_long_profile, jpeg_of_segments],
)
def test_a_header_as_long_as_the_file_is_not_loaded_into_memory(
    written: Callable[[IO[bytes]], None], tmp_path: Path
) -> None:
    with (tmp_path / "hostile").open("w+b") as file:
        written(file)
        file.truncate(HUGE)
        file.seek(0)
        tracemalloc.start()

        media_of(file)

        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 2.5 * MAX_IMAGE_BYTES


@pytest.mark.parametrize("start", [image("GIF")[:13], b"\xff\xd8\xff\xe0\0\2"])
def test_parsing_a_header_of_single_bytes_is_abandoned(start: bytes) -> None:
    class Counted(BytesIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            return super().read(size)

    file = Counted(start + bytes(1_000_000))

    media = media_of(file)

    assert (media.width, file.reads < 20_000) == (None, True)


@pytest.mark.parametrize(("orientation", "size"), [(1, (30, 20)), (3, (30, 20)), (6, (20, 30)), (8, (20, 30))])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_size_is_that_of_the_displayed_image(kind: str, orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation

    media = media_of(BytesIO(image(kind, exif=exif)))

    assert (media.width, media.height) == size


@pytest.mark.parametrize(("marks", "size"), [(1, (20, 30)), (2, (30, 20))])
def test_the_exif_of_a_png_may_begin_as_in_a_jpeg(marks: int, size: tuple[int, int]) -> None:
    """The image processor and Pillow read it with one mark, and ignore it with two."""
    exif = Image.Exif()
    exif[0x0112] = 6

    content = image("PNG", exif=marks * b"Exif\0\0" + exif.tobytes())  # Pillow removes one mark

    assert content.count(b"Exif\0\0") == marks
    assert media_of(BytesIO(content)) == Media("image/png", *size)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


TEXT = chunk(b"tEXt", b"Comment\0a")
AROUND_EXIF = {
    "a long text": (chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(9_000_000))), b""),
    "many texts": (TEXT * 2000, b""),
    "a wrong checksum": (TEXT[:-1] + b"?", b""),
    "another EXIF": (b"", chunk(b"eXIf", b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 1, 0, 0))),
}


@pytest.mark.parametrize("name", AROUND_EXIF)
def test_a_png_has_its_displayed_size_with_any_metadata_before_its_pixels(name: str) -> None:
    """Chromium and libpng show it at this size; Pillow does not open the first and the third."""
    exif = Image.Exif()
    exif[0x0112] = 6
    content = image("PNG")
    before, after = AROUND_EXIF[name]
    place = content.index(b"IDAT") - 4

    turned = content[:place] + before + chunk(b"eXIf", exif.tobytes()[6:]) + after + content[place:]

    assert media_of(BytesIO(turned)) == Media("image/png", 20, 30)


def test_exif_with_a_wrong_checksum_turns_a_png_as_in_the_image_processor() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = image("PNG", exif=exif)
    place = content.index(b"IDAT") - 8

    assert media_of(BytesIO(content[:place] + b"?" + content[place + 1 :])) == Media("image/png", 20, 30)


@pytest.mark.parametrize("name", PLAIN_IN_PNG)
def test_the_plain_exif_of_a_png_turns_it_as_in_libvips(name: str) -> None:
    blocks, is_turned = PLAIN_IN_PNG[name]
    content = png_with(blocks())

    shown = pyvips.Image.new_from_buffer(content, "").autorot()

    assert (shown.width, shown.height) == size_of(is_turned)
    assert media_of(BytesIO(content)) == Media("image/png", *size_of(is_turned))


@pytest.mark.parametrize("name", MARKED_IN_PNG)
def test_exif_that_begins_as_in_a_jpeg_turns_a_png_as_in_the_image_processor(name: str) -> None:
    blocks, is_turned = MARKED_IN_PNG[name]

    assert media_of(BytesIO(png_with(blocks()))) == Media("image/png", *size_of(is_turned))


@pytest.mark.parametrize("mark", [b"", b"Exif\0\0"])
def test_a_png_has_its_displayed_size_with_thousands_of_chunks_and_the_longest_exif(mark: bytes) -> None:
    content = png_with([mark + exif(6, 8_000_000)], before=5000)

    assert media_of(BytesIO(content)) == Media("image/png", *size_of(is_turned=True))


@pytest.mark.parametrize("name", IN_JPEG)
def test_the_exif_of_a_jpeg_turns_it_as_in_libvips(name: str) -> None:
    blocks, is_turned = IN_JPEG[name]
    content = jpeg_with(blocks())

    shown = pyvips.Image.new_from_buffer(content, "").autorot()

    assert (shown.width, shown.height) == size_of(is_turned)
    assert media_of(BytesIO(content)) == Media("image/jpeg", *size_of(is_turned))


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


BEFORE_EXIF = {
    "a profile without bytes": segment(0xE2, b"ICC_PROFILE\0"),
    "a short Adobe segment": segment(0xEE, b"Adobe\0"),
    "a short JFIF segment": segment(0xE0, b"JFIF\0"),
    "a marker without a length": b"\xff\x01",
    "three thousand segments": segment(0xE5, b"x") * 3000,
    "forty megabytes": segment(0xE5, bytes(65_000)) * 640,
}


@pytest.mark.parametrize("name", BEFORE_EXIF)
def test_a_jpeg_has_its_displayed_size_with_any_segment_before_its_pixels(name: str) -> None:
    """OpenCV turns it, too."""
    exif = Image.Exif()
    exif[0x0112] = 6
    content = image("JPEG", exif=exif)

    changed = content[:2] + BEFORE_EXIF[name] + content[2:]

    shown = cv2.imdecode(numpy.frombuffer(changed, "uint8"), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape[:2] == (30, 20)
    assert media_of(BytesIO(changed)) == Media("image/jpeg", 20, 30)


def test_a_jpeg_with_a_second_picture_is_a_jpeg() -> None:
    pair = image("MPO", save_all=True, append_images=[Image.new("RGB", (30, 20))])

    assert media_of(BytesIO(pair)) == Media("image/jpeg", 30, 20)


ONE_ENTRY = struct.pack("<2sHIH", b"II", 42, 8, 1)


@pytest.mark.parametrize(
    ("exif", "size"),
    [
        (ONE_ENTRY + struct.pack("<HHII", 0x0112, 1, 1, 6) + bytes(4), (20, 30)),
        (struct.pack("<2sHIQQHHQQQ", b"II", 43, 8, 16, 1, 0x0112, 3, 1, 6, 0), (30, 20)),
        (b"neither byte order", (30, 20)),
    ],
    ids=["of a byte", "in a BigTIFF", "damaged"],
)
def test_an_odd_orientation_turns_a_jpeg_as_the_image_processor_does(exif: bytes, size: tuple[int, int]) -> None:
    assert media_of(BytesIO(image("JPEG", exif=b"Exif\0\0" + exif))) == Media("image/jpeg", *size)


def test_an_orientation_in_xmp_is_ignored() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'

    assert media_of(BytesIO(image("JPEG", xmp=xmp))) == Media("image/jpeg", 30, 20)


def test_an_animated_png_is_a_png() -> None:
    frames = [Image.new("RGB", (30, 20), color) for color in ("red", "blue")]

    assert media_of(BytesIO(image("PNG", save_all=True, append_images=frames))) == Media("image/png", 30, 20)


@pytest.mark.parametrize("is_rotated", [False, True])
def test_the_size_of_a_tiff_with_an_unsupported_pixel_format_is_detected(is_rotated: bool) -> None:
    tags = [(256, 30), (257, 20), (258, 8), (259, 1), (262, 5), (274, 6 if is_rotated else 1), (277, 7)]
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)

    media = media_of(BytesIO(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(100)))

    assert media == Media("image/tiff", *((20, 30) if is_rotated else (30, 20)))


def tiff_of(*directories: tuple[int, int, int], order: str, big: bool = False) -> bytes:
    """Return a TIFF without pixels, with directories of these subfile types, widths and heights."""
    count, place = ("Q", "Q") if big else ("H", "I")
    mark = b"II" if order == "<" else b"MM"
    content = mark + (struct.pack(f"{order}HHHQ", 43, 8, 0, 16) if big else struct.pack(f"{order}HI", 42, 8))
    for number, values in enumerate(directories):
        rows = [struct.pack(f"{order}HH{place}I", 254 + at + (at > 0), 4, 1, value) for at, value in enumerate(values)]
        directory = struct.pack(order + count, 3) + b"".join(row.ljust(20 if big else 12, b"\0") for row in rows)
        end = len(content) + len(directory) + struct.calcsize(order + place)
        content += directory + struct.pack(order + place, 0 if number == len(directories) - 1 else end)
    return content


PAGE, REDUCED, MASK = 0, 1, 4


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("directories", "size"),
    [
        ([(REDUCED, 8, 6), (PAGE, 40, 30), (PAGE, 50, 60)], (40, 30)),
        ([(REDUCED, 8, 6), (MASK, 40, 30), (REDUCED | 2, 4, 3), (2, 48, 32)], (48, 32)),
        ([(PAGE, 40, 30), (REDUCED, 8, 6)], (40, 30)),
        ([(REDUCED, 8, 6), (MASK, 9, 9)], (8, 6)),
    ],
)
def test_the_size_of_a_tiff_is_that_of_its_first_page(
    directories: list[tuple[int, int, int]], size: tuple[int, int], order: str, *, big: bool
) -> None:
    assert media_of(BytesIO(tiff_of(*directories, order=order, big=big))) == Media("image/tiff", *size)


@pytest.mark.parametrize("size", [(2**31, 1), (1, 2**31), (2**32 - 1, 2**32 - 1)])
def test_a_tiff_whose_size_does_not_fit_into_the_database_has_none(size: tuple[int, int]) -> None:
    content = tiff_of((0, *size), order="<")

    assert media_of(BytesIO(content)) == Media("image/tiff")


def test_the_largest_size_that_fits_into_the_database_is_kept() -> None:
    content = tiff_of((0, 2**31 - 1, 1), order="<")

    assert media_of(BytesIO(content)) == Media("image/tiff", 2**31 - 1, 1)


def test_a_cycle_of_directories_in_a_tiff_ends() -> None:
    content = tiff_of((REDUCED, 8, 6), (MASK, 9, 9), order="<")
    cyclic = content[:-4] + struct.pack("<I", 8)

    assert media_of(BytesIO(cyclic)) == Media("image/tiff", 8, 6)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"PK\3\4" + bytes(26), "application/zip"),
        (b"plain words", "text/plain"),
        ("слова".encode(), "text/plain"),
        (b"<!DOCTYPE html><title>x</title>", "text/html"),
        (b" <!-- x --> <script>alert(1)</script>", "text/html"),
        (
            b'\xef\xbb\xbf<?xml version="1.0"?><!-- x -->\n<!-- y --> <!DOCTYPE svg PUBLIC "x" [ <!ENTITY y "z"> ]>',
            "image/svg+xml",
        ),
        (b'<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml">', "text/xml"),
        (b"<?php echo 1;", "text/plain"),
        (b"<!-- " + b"x" * 50_000 + b" --><html>", "text/html"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}<html>".encode("utf-16-le"), "text/html"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}words".encode("utf-16-be"), "application/octet-stream"),
        (b"", "application/octet-stream"),
        (b"\xff\xd8\xff\xe0 no image", "image/jpeg"),
        (b"\0\1\2\3", "application/octet-stream"),
    ],
)
def test_other_content_is_detected_by_its_signature(content: bytes, media_type: str) -> None:
    assert media_of(BytesIO(content)) == Media(media_type)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", [b" ", b"<!-- -->", b"<!--", b"<?xml >", b"<!doctype "])
def test_text_is_scanned_without_backtracking(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("file_storage.services.media.media.HEAD_BYTES", 1_000_000)

    assert media_of(BytesIO(piece * (1_000_000 // len(piece)))).media_type in {"text/plain", "text/xml"}


STARTS = [b"", image("PNG")[:40], image("TIFF")[:80], image("WEBP")[:30], heic(b"heic", SIZE)[:90], b"8BPS\0\1"]
STARTS += [b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x40jxlp"]


@given(st.binary(max_size=500), st.sampled_from([*STARTS, b"\0\0\1\0\1\0"]))
def test_no_content_raises_an_error(content: bytes, start: bytes) -> None:
    assert media_of(BytesIO(start + content)).media_type
