"""BMP, ICO, JPEG 2000 and PSD: pixels compared with Pillow's, alpha, 16 bits, profiles, limits, damage."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import imagecodecs
import numpy
import pytest
import tifffile
from image_processor.services.codec.decoding import ImageError, ImageLimits, decode
from image_processor.services.codec.plan import plan_of
from image_processor.services.codec.process import process_image
from PIL import Image, ImageCms, ImageOps, IptcImagePlugin
from PIL.JpegImagePlugin import JpegImageFile

from tests.support.algorithm_runs import LIMITS, processed, report
from tests.support.images import encoded, opened, photo, pixels

pytestmark = pytest.mark.slow

KEPT = {"format": "png"}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def psd(image: Image.Image, profile: bytes = b"", iptc: bytes = b"", exif: bytes = b"") -> bytes:
    """Return an uncompressed PSD without layers (Adobe Photoshop File Formats Specification)."""
    modes = {"L": 1, "LA": 1, "RGB": 3, "RGBA": 3, "CMYK": 4, "LAB": 9}
    bands = image.split()
    parts = {1028: iptc, 1039: profile, 1058: exif}
    resources = b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(part)) + part + bytes(len(part) % 2)
        for number, part in parts.items()
        if part
    )
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
@pytest.mark.parametrize("bands", [2, 3, 4])
@pytest.mark.parametrize("codec", ["jp2", "j2k"])
def test_jpeg_2000_colors_keep_more_than_8_bits(codec: str, bands: int, bits: int) -> None:
    image = numpy.random.default_rng(bits).integers(0, 2**bits, (40, 64, bands), "uint16")
    source = bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat=codec, reversible=True, bitspersample=bits))

    result = processed(source, "convert", {"format": "tiff"})

    assert numpy.abs(tifffile.imread(io.BytesIO(result)).astype(float) - image * (65535 / (2**bits - 1))).max() <= 0.51


def subsampled(bits: int) -> bytes:
    """Return a codestream whose second and third component have half the size (ISO/IEC 15444-1, A.5.1)."""
    image = numpy.zeros((32, 32, 3), "uint16")
    stream = bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat="j2k", reversible=True, bitspersample=bits))
    sizes = bytes([bits - 1, 1, 1] * 3)
    return stream.replace(sizes, bytes([bits - 1, 1, 1, bits - 1, 2, 2, bits - 1, 2, 2]))


DEEP = {
    "YCC": lambda: jpeg_2000(numpy.zeros((32, 32, 3), "uint16"), b"", space=18, bits=12),
    "signed": lambda: bytes(imagecodecs.jpeg2k_encode(numpy.zeros((32, 32, 3), "int16"), level=0, reversible=True)),
    "subsampled": lambda: subsampled(10),
}


@pytest.mark.parametrize("kind", DEEP)
def test_more_than_8_bits_are_refused_instead_of_reduced_to_8(kind: str) -> None:
    with pytest.raises(ImageError, match="have more than 8 bits and are signed, YCC or of different sizes"):
        processed(DEEP[kind](), "convert", KEPT)


def test_signed_gray_of_16_bits_is_kept() -> None:
    image = numpy.random.default_rng(1).integers(-32768, 32768, (40, 64), "int16")
    source = bytes(imagecodecs.jpeg2k_encode(image, level=0, reversible=True))

    result = tifffile.imread(io.BytesIO(processed(source, "convert", {"format": "tiff"})))

    assert numpy.array_equal(result, image.astype(int) + 32768)


@pytest.mark.parametrize("bits", [1, 2, 4, 7])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_white_of_a_jpeg_2000_with_few_bits_is_white(bands: int, bits: int) -> None:
    image = numpy.random.default_rng(bits).integers(0, 2**bits, (40, 64, bands), "uint8").squeeze()
    source = bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat="jp2", reversible=True, bitspersample=bits))

    result = processed(source, "convert", KEPT)

    assert numpy.abs(numpy.asarray(opened(result)).astype(float) - image * (255 / (2**bits - 1))).max() <= 0.51


def test_the_error_for_a_jpeg_2000_with_too_many_components_names_them() -> None:
    source = bytes(imagecodecs.jpeg2k_encode(numpy.zeros((8, 8, 5), "uint8"), level=0))

    with pytest.raises(ImageError, match=r"^A JPEG 2000 with 5 components is not supported"):
        processed(source, "convert", KEPT)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, name) + content


def jpeg_2000(array: numpy.ndarray, boxes: bytes, space: int = 16, bits: int = 8) -> bytes:
    """Return a JP2 with these boxes before that of its color space (ISO/IEC 15444-1, I.5.3)."""
    height, width, components = array.shape
    stream = bytes(
        imagecodecs.jpeg2k_encode(
            array.squeeze(), level=0, codecformat="j2k", reversible=True, bitspersample=bits, mct=False
        )
    )
    head = box(b"ihdr", struct.pack(">IIHBBBB", height, width, components, bits - 1, 7, 0, 0))
    head += boxes + box(b"colr", b"\1\0\0" + struct.pack(">I", space))
    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return start + box(b"jp2h", head) + box(b"jp2c", stream)


def channels(*rows: tuple[int, int, int]) -> bytes:
    """Return the box of channel definitions: number, type (0: color, 1: alpha, 2: premultiplied), and color."""
    return box(b"cdef", struct.pack(">H", len(rows)) + b"".join(struct.pack(">HHH", *row) for row in rows))


RGBA = numpy.random.default_rng(7).integers(0, 256, (40, 64, 4), "uint8")
SPARE = 65535
ORDERS = {
    "blue first": (RGBA[..., 2::-1], channels((0, 0, 3), (1, 0, 2), (2, 0, 1)), RGBA[..., :3]),
    "alpha first": (RGBA[..., [3, 0, 1, 2]], channels((0, 1, 0), (1, 0, 1), (2, 0, 2), (3, 0, 3)), RGBA),
    "a spare channel": (RGBA, channels((0, 0, 1), (1, 0, 2), (2, 0, 3), (3, SPARE, SPARE)), RGBA[..., :3]),
    "gray, spare, alpha": (RGBA[..., :3], channels((0, 0, 1), (1, SPARE, SPARE), (2, 1, 0)), RGBA[..., [0, 2]]),
    "alpha, spare, gray": (RGBA[..., :3], channels((0, 1, 0), (1, SPARE, SPARE), (2, 0, 1)), RGBA[..., [2, 0]]),
    "spare, alpha, gray": (RGBA[..., :3], channels((0, SPARE, SPARE), (1, 1, 0), (2, 0, 1)), RGBA[..., [2, 1]]),
    "alpha, gray, spare": (RGBA[..., :3], channels((0, 1, 0), (1, 0, 1), (2, SPARE, SPARE)), RGBA[..., [1, 0]]),
    "no types": (RGBA[..., :3], channels(*((band, SPARE, SPARE) for band in range(3))), RGBA[..., :3]),
    "alpha and no types": (
        RGBA,
        channels((0, 1, 0), *((band, SPARE, SPARE) for band in (1, 2, 3))),
        RGBA[..., [1, 2, 3, 0]],
    ),
    "premultiplied": (
        numpy.full((40, 64, 4), (100, 50, 25, 128), "uint8"),
        channels((0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 2, 0)),
        numpy.full((40, 64, 4), (199, 100, 50, 128), "uint8"),
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_the_channels_of_a_jpeg_2000_have_their_order_and_meaning(name: str) -> None:
    array, boxes, expected = ORDERS[name]

    result = pixels(processed(jpeg_2000(numpy.ascontiguousarray(array), boxes), "convert", KEPT))

    assert numpy.array_equal(result, expected)


XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + (
    b'<rdf:Description xmpMM:DocumentID="uuid:89abcdef-0123-4567-89ab-cdef01234567" xmpMM:Colors="colr\1   pclr"/>'
)
TEXTS = {
    "XMP": box(b"uuid", XMP),
    "XML": box(b"xml ", b'<id value="0123456789abcdef"/>'),
    "more than the first 64 KiB": box(b"xml ", b"cdef pclr" * 10_000),
    "a length of 64 bits": struct.pack(">I4sQ", 1, b"xml ", 16 + 9) + b"cdef pclr",
    "the start of a codestream": box(b"xml ", b"\xff\x4f\xff\x51 cdef pclr"),
}


@pytest.mark.parametrize("place", [b"jp2h", b"jp2c"])
@pytest.mark.parametrize("name", TEXTS)
def test_names_of_boxes_in_the_texts_of_a_jpeg_2000_have_no_effect(name: str, place: bytes) -> None:
    source = jpeg_2000(RGBA[..., :3].copy(), b"")
    start = source.index(place) - 4

    result = processed(source[:start] + TEXTS[name] + source[start:], "convert", KEPT)

    assert numpy.array_equal(pixels(result), RGBA[..., :3])


def test_names_of_boxes_in_the_profile_of_a_jpeg_2000_have_no_effect() -> None:
    profile = box(b"colr", b"\2\0\0" + PROFILE + b"cdef pclr")

    assert numpy.array_equal(
        pixels(processed(jpeg_2000(RGBA[..., :3].copy(), profile), "convert", KEPT)), RGBA[..., :3]
    )


def exif_of(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Camera"
    exif[0x013B] = "Alice"
    return exif.tobytes().removeprefix(b"Exif\0\0")


def rights(text: str) -> bytes:
    """Return XMP with a copyright notice (XMP specification part 1, 8.3)."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:rights><rdf:Alt>'
        f'<rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:rights></rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


BY_BOB = b"\x1c\x02\x50\0\x03Bob"
ADOBE_EXIF = bytes.fromhex("0537cdab9d0c4431a72afa561f2a113e")


@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("start", [b"JpgTiffExif->JP2", b"JpgTiffExif->JP2Exif\0\0", ADOBE_EXIF])
def test_exif_of_a_jpeg_2000_is_kept_and_does_not_turn_it(start: bytes, *, behind: bool) -> None:
    source = jpeg_2000(RGBA[..., :3].copy(), b"")
    place = len(source) if behind else source.index(b"jp2c") - 4
    source = source[:place] + box(b"uuid", start + exif_of(6)) + source[place:]

    kept = opened(processed(source, "convert", {"format": "png", "metadata": "keep"}))
    by_default = opened(processed(source, "convert", KEPT)).getexif()

    assert numpy.array_equal(numpy.asarray(kept), RGBA[..., :3])
    assert (kept.getexif()[0x010F], kept.getexif().get(0x0112, 1)) == ("Camera", 1)
    assert (by_default.get(0x010F), by_default[0x013B]) == (None, "Alice")


def test_xmp_and_iptc_of_a_jpeg_2000_are_kept() -> None:
    source = jpeg_2000(RGBA[..., :3].copy(), b"")
    iptc = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38") + BY_BOB
    source += box(b"uuid", XMP[:16] + rights("(c) Carol")) + box(b"uuid", iptc)

    kept = opened(processed(source, "convert", {"format": "jpeg", "metadata": "keep"}))
    by_default = opened(processed(source, "convert", {"format": "jpeg"})).getexif()

    assert b"(c) Carol" in kept.info["xmp"]
    assert isinstance(kept, JpegImageFile)
    assert IptcImagePlugin.getiptcinfo(kept) == {(2, 80): b"Bob"}
    assert (by_default[0x013B], by_default[0x8298]) == ("Bob", "(c) Carol")


def test_iptc_of_a_psd_is_kept() -> None:
    source = psd(colorful(), iptc=BY_BOB)

    kept = opened(processed(source, "convert", {"format": "jpeg", "metadata": "keep"}))
    by_default = opened(processed(source, "convert", {"format": "jpeg"}))

    assert isinstance(kept, JpegImageFile)
    assert IptcImagePlugin.getiptcinfo(kept) == {(2, 80): b"Bob"}
    assert by_default.getexif()[0x013B] == "Bob"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_of_a_psd_does_not_turn_it(orientation: int) -> None:
    source = psd(colorful(), exif=exif_of(orientation))
    shown = ImageOps.exif_transpose(opened(source))

    kept = opened(processed(source, "convert", {"format": "png", "metadata": "keep"}))

    assert numpy.array_equal(numpy.asarray(kept), numpy.asarray(shown))
    assert (kept.getexif()[0x010F], kept.getexif().get(0x0112, 1)) == ("Camera", 1)


def test_a_jpeg_2000_without_pixels_is_damaged() -> None:
    source = jpeg_2000(RGBA[..., :3].copy(), b"")

    with pytest.raises(ImageError, match=r"^The image is damaged: its header is invalid\.$"):
        processed(source[: source.index(b"jp2c") - 4], "convert", KEPT)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("bands", [3, 4])
def test_a_jpeg_2000_may_have_a_palette(bands: int, bits: int) -> None:
    palette, numbers = RGBA[0, :16, :bands], numpy.random.default_rng(8).integers(0, 16, (40, 64, 1), "uint8")
    boxes = box(b"pclr", struct.pack(">HB", len(palette), bands) + bytes([7] * bands) + palette.tobytes())
    boxes += box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, band) for band in range(bands)))
    boxes += channels(*((band, band == 3, (band + 1) % 4) for band in range(bands)))

    result = pixels(processed(jpeg_2000(numbers, boxes, bits=bits), "convert", KEPT))

    assert numpy.array_equal(result, palette[numbers[..., 0]])


def test_the_error_for_a_jpeg_2000_in_another_color_space_names_it() -> None:
    with pytest.raises(ImageError, match=r"^The color space of this JPEG 2000 \(number 14\) is not supported"):
        processed(jpeg_2000(RGBA[..., :3].copy(), b"", space=14), "convert", KEPT)


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
def test_a_truncated_jpeg_2000_with_16_bits_is_damage(kept: float) -> None:
    image = numpy.random.default_rng(1).integers(0, 2**16, (40, 64, 3), "uint16")
    source = bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat="jp2", reversible=True))

    with pytest.raises(ImageError, match="damaged"):
        processed(source[: int(len(source) * kept)], "convert", KEPT)


def test_the_error_for_a_multichannel_psd_names_the_mode() -> None:
    source = bytearray(psd(colorful()))
    source[24:26] = b"\0\7"

    with pytest.raises(ImageError, match=r"^A PSD in multichannel mode is not supported: save it as RGB"):
        processed(bytes(source), "convert", KEPT)


@pytest.mark.parametrize("name", SOURCES)
def test_decoded_pixels_are_those_that_were_encoded(name: str) -> None:
    result = opened(processed(SOURCES[name], "convert", KEPT))

    expected = colorful("RGBA") if name.startswith("ico") else colorful()
    assert result.mode == expected.mode
    assert numpy.array_equal(numpy.asarray(result), numpy.asarray(expected))


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_a_bmp_may_be_bilevel_gray_or_indexed(mode: str) -> None:
    image = colorful().convert(mode)

    result = opened(processed(encoded(image, "BMP"), "convert", KEPT)).convert("RGB")

    assert numpy.array_equal(numpy.asarray(result), numpy.asarray(image.convert("RGB")))


@pytest.mark.parametrize("format", ["JPEG2000", "PSD"])
def test_alpha_is_kept(format: str) -> None:
    image = colorful("RGBA")

    result = pixels(processed(psd(image) if format == "PSD" else encoded(image, format), "convert", KEPT))

    assert numpy.array_equal(result, numpy.asarray(image))


def test_a_gray_jpeg_2000_keeps_16_bits() -> None:
    values = (numpy.arange(64 * 48, dtype="uint16") * 21).reshape(48, 64)
    source = encoded(Image.fromarray(values), "JPEG2000")

    result = opened(processed(source, "convert", KEPT))

    assert report(source, "info")["bits"] == 16
    assert numpy.array_equal(numpy.asarray(result), values)


def test_the_largest_picture_of_an_icon_is_read() -> None:
    source = encoded(Image.new("RGBA", (256, 256)), "ICO", sizes=[(16, 16), (128, 128), (32, 32)])

    assert report(source, "info")["width"] == 128


def test_an_icon_may_be_larger_than_its_directory_can_express() -> None:
    source = bytearray(ico(Image.new("RGBA", (200, 200))))
    picture = encoded(Image.new("RGBA", (400, 300)), "PNG")

    found = report(bytes(source[:14]) + struct.pack("<II", len(picture), 22) + picture, "info")

    assert (found["width"], found["height"]) == (400, 300)


def test_a_cmyk_psd_is_converted_to_rgb() -> None:
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
def test_a_result_in_the_format_of_the_source_is_lossless_if_the_source_is(
    tmp_path: Path, source: bytes, extension: str
) -> None:
    (tmp_path / "source").write_bytes(source)

    written = process_image(tmp_path / "source", {}, tmp_path / "result", plan_of("flip", None), LIMITS)

    assert written == extension
    assert opened((tmp_path / "result").read_bytes()).format == {".png": "PNG", ".jpg": "JPEG"}[extension]


@pytest.mark.parametrize("name", SOURCES)
def test_an_image_over_the_limit_is_refused_by_its_header(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(SOURCES[name][:200])  # too short to contain pixels

    with pytest.raises(ImageError, match="3,072 pixels; the limit is 3,071"):
        decode(source, ImageLimits(max_pixels=3071, max_frames=1), sequential=True)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", SOURCES)
def test_a_damaged_file_is_refused_with_a_reason(name: str, kept: float) -> None:
    source = SOURCES[name][: int(len(SOURCES[name]) * kept)]

    with pytest.raises(ImageError, match=r"^The image is damaged: .{5,}\.$"):
        processed(source, "convert", KEPT)


MASKS = {
    "RGB of 5, 6 and 5 bits": (16, 40, (0xF800, 0x7E0, 0x1F)),
    "RGBA of 4 bits": (16, 124, (0xF00, 0xF0, 0xF, 0xF000)),
    "RGB of 5 bits and alpha of 1": (16, 108, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "RGB of 10 bits": (32, 40, (0x3FF00000, 0xFFC00, 0x3FF)),
    "RGBX": (32, 40, (0xFF, 0xFF00, 0xFF0000)),
    "BGRA": (32, 124, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    "alpha between the colors": (32, 124, (0xFF00, 0xFF0000, 0xFF000000, 0xFF)),
}


def masked_bmp(bits: int, header: int, masks: Sequence[int], values: numpy.ndarray, *, top_down: bool) -> bytes:
    """Return a BMP with these masks (BITMAPINFOHEADER, BITMAPV4HEADER and BITMAPV5HEADER of Windows GDI)."""
    height, width = values.shape[:2]
    shifts = [(mask & -mask).bit_length() - 1 for mask in masks]
    words = sum(values[..., band].astype("uint64") << shift for band, shift in enumerate(shifts))
    rows = numpy.asarray(words).astype(f"<u{bits // 8}")
    content = b"".join(row.tobytes() + bytes(-len(row.tobytes()) % 4) for row in (rows if top_down else rows[::-1]))
    sizes = (header, width, -height if top_down else height, 1, bits, 3, len(content), 0, 0, 0, 0)
    head = struct.pack("<IiiHHIIiiII", *sizes) + struct.pack(f"<{len(masks)}I", *masks)
    head = head.ljust(header, b"\0")
    start = 14 + len(head)
    return b"BM" + struct.pack("<I4xI", start + len(content), start) + head + content


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("name", MASKS)
def test_a_bmp_may_have_masks(name: str, *, top_down: bool) -> None:
    bits, header, masks = MASKS[name]
    greatest = numpy.array([mask // (mask & -mask) for mask in masks])
    values = numpy.random.default_rng(bits).integers(0, greatest + 1, (9, 31, len(masks)))

    result = opened(processed(masked_bmp(bits, header, masks, values, top_down=top_down), "convert", KEPT))

    assert numpy.abs(numpy.asarray(result).astype(float) - values * 255 / greatest).max() <= 0.51


def test_a_bmp_whose_alpha_is_0_everywhere_is_opaque() -> None:
    bits, header, masks = MASKS["BGRA"]
    values = numpy.full((9, 31, 4), (200, 100, 50, 0))

    result = opened(processed(masked_bmp(bits, header, masks, values, top_down=False), "convert", KEPT))

    assert result.getcolors() == [(9 * 31, (200, 100, 50))]


def test_a_bmp_with_masks_that_is_cut_short_is_damaged() -> None:
    bits, header, masks = MASKS["BGRA"]
    whole = masked_bmp(bits, header, masks, numpy.zeros((9, 31, 4), "uint8"), top_down=False)

    with pytest.raises(ImageError, match=r"^The image is damaged: the file is truncated\.$"):
        processed(whole[:-4], "convert", KEPT)


@pytest.mark.parametrize(("place", "value", "kind"), [(28, 64, "64 bits"), (30, 4, "compression 4")])
def test_the_error_for_a_bmp_of_another_kind_names_it(place: int, value: int, kind: str) -> None:
    source = bytearray(SOURCES["bmp"])
    source[place] = value

    with pytest.raises(ImageError, match=rf"^A BMP with .*{kind}.* is not supported: save it with 24 bits\.$"):
        processed(bytes(source), "convert", KEPT)


def bmp_of_os2(size: int, bits: int, compression: int = 0) -> bytes:
    """Return a red BMP of 4 by 4 pixels with a header of OS/2."""
    pixel = {16: struct.pack("<H", 0x7C00), 24: b"\0\0\xff", 32: b"\0\0\xff\0"}[bits]
    fields = struct.pack("<HHHH", 4, 4, 1, bits) if size == 12 else struct.pack("<iiHHI", 4, 4, 1, bits, compression)
    head = (struct.pack("<I", size) + fields).ljust(size, b"\0")[:size]
    return b"BM" + struct.pack("<IHHI", 14 + size + 16 * len(pixel), 0, 0, 14 + size) + head + pixel * 16


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("size", [12, 64])
def test_a_bmp_of_os2_is_read_as_by_pillow(size: int, bits: int) -> None:
    source = bmp_of_os2(size, bits)

    result = opened(processed(source, "convert", KEPT)).convert("RGB")

    assert result.getcolors() == opened(source).convert("RGB").getcolors() == [(16, (255, 0, 0))]


@pytest.mark.parametrize("bits", [16, 32])
def test_masks_are_not_read_from_a_header_of_os2_which_has_none(bits: int) -> None:
    with pytest.raises(ImageError, match=rf"^A BMP with {bits} bits per pixel and compression 3 is not supported"):
        processed(bmp_of_os2(64, bits, compression=3), "convert", KEPT)


def test_the_short_header_of_os2_is_refused_as_unsupported_not_as_damaged() -> None:
    with pytest.raises(ImageError, match=r"^A BMP with the short header of OS/2 is not supported"):
        processed(bmp_of_os2(16, 24), "convert", KEPT)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_short_header_of_os2_with_a_palette_is_read(bits: int) -> None:
    """No other program at hand reads it; the pixels are known by construction."""
    colors = numpy.random.default_rng(bits).integers(0, 256, (2**bits, 3), "uint8")
    numbers = numpy.arange(8 * 3).reshape(3, 8) % 2**bits
    head = struct.pack("<IIIHH", 16, 8, 3, 1, bits) + b"".join(bytes([*color[::-1], 0]) for color in colors)
    ones = numpy.unpackbits(numbers.astype("uint8")[..., None], axis=2)[..., 8 - bits :]
    rows = [numpy.packbits(row).tobytes() for row in ones[::-1]]
    stored = b"".join(row + bytes(-len(row) % 4) for row in rows)
    source = b"BM" + struct.pack("<IHHI", 14 + len(head) + len(stored), 0, 0, 14 + len(head)) + head + stored

    result = opened(processed(source, "convert", KEPT)).convert("RGB")

    assert numpy.array_equal(numpy.asarray(result), colors[numbers])


def bitmap_of_icon(colors: numpy.ndarray, mask: numpy.ndarray) -> bytes:
    """Return a 24-bit or 32-bit bitmap without its file header, followed by the mask."""
    height, width, bands = colors.shape
    head = struct.pack("<IiiHHIIiiII", 40, width, 2 * height, 1, 8 * bands, 0, 0, 0, 0, 0, 0)
    order = [2, 1, 0, 3][:bands]
    bits = numpy.packbits(numpy.pad(mask, ((0, 0), (0, -width % 32))), axis=1)
    return head + colors[::-1, :, order].tobytes() + bits[::-1].tobytes()


def directory_of_icon(*pictures: tuple[int, bytes]) -> bytes:
    """Return an ICO with pictures of 32 x 32 pixels.

    :param pictures: the bits per pixel in the directory, and the content.
    """
    rows, contents, place = b"", b"", 6 + 16 * len(pictures)
    for bits, content in pictures:
        rows += struct.pack("<BBBBHHII", 32, 32, 0, 0, 1, bits, len(content), place + len(contents))
        contents += content
    return struct.pack("<HHH", 0, 1, len(pictures)) + rows + contents


ICON = numpy.random.default_rng(3).integers(0, 256, (32, 32, 4), "uint8")
MASK = (numpy.indices((32, 32)).sum(0) % 3 == 0).astype("uint8")


def test_an_icon_without_alpha_is_visible_where_its_mask_is_0() -> None:
    colors = ICON.copy()
    colors[..., 3] = 0

    result = processed(directory_of_icon((32, bitmap_of_icon(colors, MASK))), "convert", KEPT)

    visible = MASK == 0
    assert (pixels(result)[..., 3] == visible * 255).all()
    assert (pixels(result)[visible][:, :3] == colors[visible][:, :3]).all()


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("colors", ["black and white", "dark grays", "any"])
def test_the_palette_of_an_icon_is_that_of_its_bitmap(colors: str, bits: int) -> None:
    """Pillow shows black and white wrong, and refuses dark grays."""
    grays = numpy.arange(2**bits)[:, None].repeat(3, axis=1)
    any_colors = numpy.random.default_rng(5).integers(0, 256, (2**bits, 3))
    palette = {"black and white": grays[:2] * 255, "dark grays": grays, "any": any_colors}[colors].astype("uint8")
    numbers = numpy.random.default_rng(6).integers(0, len(palette), (32, 32), "uint8")
    head = struct.pack("<IiiHHIIiiII", 40, 32, 64, 1, bits, 0, 0, 0, 0, len(palette), 0)
    entries = numpy.pad(palette[:, ::-1], ((0, 0), (0, 1))).tobytes()
    rows = numpy.packbits(numpy.unpackbits(numbers[..., None], axis=2)[..., 8 - bits :].reshape(32, -1), axis=1)
    content = head + entries + rows[::-1].tobytes() + numpy.packbits(MASK, axis=1)[::-1].tobytes()

    result = numpy.asarray(opened(processed(directory_of_icon((bits, content)), "convert", KEPT)).convert("RGBA"))

    assert (result[..., 3] == (MASK == 0) * 255).all()
    assert (result[MASK == 0][:, :3] == palette[numbers][MASK == 0]).all()


def test_an_icon_with_alpha_ignores_its_mask() -> None:
    result = processed(directory_of_icon((32, bitmap_of_icon(ICON, MASK))), "convert", KEPT)

    assert (pixels(result)[..., 3] == ICON[..., 3]).all()


@pytest.mark.parametrize("order", [1, -1])
def test_of_pictures_of_one_size_the_deepest_is_read(order: int) -> None:
    pictures = [(24, bitmap_of_icon(255 - ICON[..., :3], MASK)), (32, bitmap_of_icon(ICON, MASK))]

    result = processed(directory_of_icon(*pictures[::order]), "convert", KEPT)

    assert (pixels(result)[..., 3] == ICON[..., 3]).all()


def test_the_error_for_an_empty_icon_says_so() -> None:
    with pytest.raises(ImageError, match=r"^The image is damaged: the icon has no picture\.$"):
        processed(directory_of_icon(), "convert", KEPT)


def test_a_text_that_begins_like_a_bmp_is_not_an_image() -> None:
    with pytest.raises(ImageError, match="not an image of a known format"):
        processed(b"BMW sells cars, and this is a text about them.", "info")


def icon_of(picture: bytes) -> bytes:
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 8, 8, 0, 0, 1, 32, len(picture), 22) + picture


def png_with_a_late_size(image: Image.Image) -> bytes:
    """Return a PNG whose header has a comment before it, which shows a size of 1 × 1 at the header's place."""
    content = encoded(image, "PNG")
    comment = struct.pack(">4sII", b"tEXt", 1, 1)
    return content[:8] + struct.pack(">I", 8) + comment + struct.pack(">I", zlib.crc32(comment)) + content[8:]


def bitmap(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, 2 * height, 1, 32, 0, 0, 0, 0, 0, 0)
    return header + bytes(abs(width) * height * 4) + bytes(4 * height)


@pytest.mark.parametrize(
    "picture", [png_with_a_late_size(Image.new("RGBA", (100, 100))), bitmap(-8, 8), b"\x0c\0\0\0\x40\0\x40\0\1\0\x20\0"]
)
def test_an_icon_cannot_hide_its_size_from_the_limits(tmp_path: Path, picture: bytes) -> None:
    source = tmp_path / "source"
    source.write_bytes(icon_of(picture))

    with pytest.raises(ImageError, match="header is invalid"):
        decode(source, ImageLimits(max_pixels=1000, max_frames=1), sequential=True)


def large_psd(side: int) -> bytes:
    """Return a PSD with layers and a transparent background."""
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 4, side, side, 8, 3)
    layers = struct.pack(">IhI", 2, -1, 0)
    return header + struct.pack(">III", 0, 0, len(layers)) + layers + bytes(2 + 4 * side**2)


def large_bmp(side: int) -> bytes:
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 124, side, side, 1, 32, 3, 0, 0, 0, 0, 0) + masks
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 138) + header.ljust(124, b"\0") + bytes(4 * side**2)


@pytest.mark.parametrize("large", [large_psd, large_bmp])
def test_floating_point_numbers_do_not_need_many_times_the_memory(
    tmp_path: Path, large: Callable[[int], bytes]
) -> None:
    side = 2500
    source = tmp_path / "source"
    source.write_bytes(large(side))
    tracemalloc.start()

    try:
        decode(source, LIMITS, sequential=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 5 * 4 * side**2
