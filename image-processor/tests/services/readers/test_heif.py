"""HEIC: pixels compared with the encoder's input, orientation, alpha, metadata, 16 bits, limits, damage."""

import io
import struct
from pathlib import Path

import numpy
import pillow_heif
import pytest
import tifffile
from image_processor.services.codec.decoding import ImageError, ImageLimits, decode
from image_processor.services.codec.plan import plan_of
from image_processor.services.codec.process import process_image
from PIL import Image, ImageCms, ImageColor, ImageOps

from tests.support.algorithm_runs import LIMITS, processed, report
from tests.support.images import opened, photo, pixels

KEPT = {"format": "png", "metadata": "keep"}


def heic(image: Image.Image, **options: object) -> bytes:
    """Return the image as HEIC, nearly lossless: without chroma subsampling, at the highest quality."""
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=-1, chroma=444, **options)
    return buffer.getvalue()


def upright(orientation: int) -> Image.Image:
    """Return the image that a viewer shows for a photograph stored with this orientation."""
    image = opened(photo())
    image.getexif()[0x0112] = orientation
    return ImageOps.exif_transpose(image)


def turned(orientation: int) -> bytes:
    """Return the stored photograph with ``irot`` and ``imir`` boxes and an orientation in EXIF."""
    image = opened(photo())
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Camera"
    file = pillow_heif.from_bytes(image.mode, image.size, image.tobytes())
    buffer = io.BytesIO()
    file.save(buffer, quality=-1, chroma=444, exif=exif.tobytes())
    return buffer.getvalue()


def test_decoded_pixels_are_those_that_were_encoded() -> None:
    image = opened(photo())

    result = pixels(processed(heic(image), "convert", KEPT))

    assert numpy.abs(result - numpy.asarray(image)).max() <= 3


def test_alpha_is_kept() -> None:
    image = opened(photo(mode="RGBA"))
    image.putalpha(Image.linear_gradient("L").resize(image.size))

    result = pixels(processed(heic(image), "convert", KEPT))

    assert result.shape == (48, 64, 4)
    assert numpy.abs(result[..., 3] - numpy.asarray(image)[..., 3]).max() <= 3


def test_a_gray_image_stays_gray() -> None:
    image = opened(photo(mode="L"))

    result = opened(processed(heic(image), "convert", KEPT))

    assert result.mode == "L"
    assert numpy.abs(numpy.asarray(result).astype(int) - numpy.asarray(image)).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_image_is_upright(orientation: int) -> None:
    source = turned(orientation)
    with_box = b"irot" in source or b"imir" in source

    result = opened(processed(source, "convert", KEPT))

    assert with_box == (orientation > 1)
    assert result.getexif().get(0x0112, 1) == 1
    assert numpy.abs(numpy.asarray(result).astype(int) - numpy.asarray(upright(orientation))).max() <= 3


def test_exif_is_kept_without_invented_tags() -> None:
    assert opened(processed(turned(6), "convert", KEPT)).getexif()[0x010F] == "Camera"
    assert report(turned(6), "exif")["image"] == {"Make": "Camera"}
    assert report(turned(6), "exif")["photo"] == {}


def test_the_profile_is_kept() -> None:
    image = opened(photo())
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.info["icc_profile"] = profile

    assert opened(processed(heic(image), "convert", KEPT)).info["icc_profile"] == profile


def test_a_profile_that_is_cut_short_is_not_kept() -> None:
    image = opened(photo())
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()[:-100]

    for target in ("jpeg", "webp", "tiff"):
        assert "icc_profile" not in opened(processed(heic(image), "convert", {"format": target})).info, target


def coded(primaries: int, transfer: int, mode: str = "RGB") -> bytes:
    """Return a HEIC of a single color, with an nclx box that defines its meaning (ITU-T H.273)."""
    color = (200, 120, 60) if mode == "RGB" else 120
    image = Image.new(mode, (32, 32), color)
    return heic(image, color_primaries=primaries, transfer_characteristics=transfer, matrix_coefficients=1)


def test_display_p3_colors_are_converted_correctly() -> None:
    kept = opened(processed(coded(12, 13), "convert", KEPT))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(kept.info["icc_profile"]))
    converted = ImageCms.profileToProfile(kept, profile, ImageCms.createProfile("sRGB"))

    # The same color by the matrices of CSS Color 4 (17): from Display P3 to XYZ, and from XYZ to sRGB.
    assert numpy.abs(numpy.asarray(converted).astype(int) - (213, 115, 42)).max() <= 3


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(("primaries", "transfer"), [(1, 13), (1, 1), (2, 2)])
def test_srgb_gets_no_profile(primaries: int, transfer: int, mode: str) -> None:
    assert "icc_profile" not in opened(processed(coded(primaries, transfer, mode), "convert", KEPT)).info


@pytest.mark.parametrize("transfer", [16, 18])
def test_the_error_for_high_dynamic_range_names_it(transfer: int) -> None:
    with pytest.raises(ImageError, match="high dynamic range"):
        processed(coded(9, transfer), "convert", KEPT)


@pytest.mark.parametrize(("primaries", "transfer"), [(11, 17), (1, 9)])
def test_the_error_for_other_colors_names_their_numbers(primaries: int, transfer: int) -> None:
    with pytest.raises(ImageError, match=rf"HEIF \(primaries {primaries} and transfer function {transfer} of"):
        processed(coded(primaries, transfer), "convert", KEPT)


def test_a_grid_of_tiles_is_a_single_image() -> None:
    image = opened(photo(300, 200))
    source = heic(image, tile_size=128)

    result = pixels(processed(source, "convert", KEPT))

    assert b"grid" in source
    assert numpy.abs(result - numpy.asarray(image)).max() <= 3


def several(*colors: str) -> bytes:
    """Return a HEIC with an image for each color, of decreasing width; the second is the primary one."""
    images = [Image.new("RGB", (64 - 16 * number, 48), color) for number, color in enumerate(colors)]
    file = pillow_heif.from_pillow(images[0])
    for image in images[1:]:
        file.add_from_pillow(image)
    buffer = io.BytesIO()
    file.save(buffer, quality=90, primary_index=1)
    return buffer.getvalue()


@pytest.mark.parametrize(("page", "color"), [(None, "blue"), (1, "red"), (2, "blue"), (3, "lime")])
def test_the_page_chooses_among_several_images(page: int | None, color: str) -> None:
    params: dict[str, object] = {"format": "png"} | ({} if page is None else {"source": {"page": page}})

    result = pixels(processed(several("red", "blue", "lime"), "convert", params))

    assert numpy.abs(result[8, 8] - ImageColor.getrgb(color)).max() <= 8
    assert result.shape[1] == {"red": 64, "blue": 48, "lime": 32}[color]


def test_info_counts_the_images() -> None:
    found = report(several("red", "blue"), "info")

    assert (found["width"], found["frames"]) == (48, 2)
    assert found["pages"] == [{"width": 64, "height": 48}, {"width": 48, "height": 48}]


def test_an_image_that_is_missing_is_named() -> None:
    with pytest.raises(ImageError, match="There is no page 3: the image has 2 pages"):
        processed(several("red", "blue"), "convert", {"format": "png", "source": {"page": 3}})


def test_a_thumbnail_is_not_counted() -> None:
    file = pillow_heif.from_pillow(opened(photo()))
    file.info["thumbnails"] = [32]
    buffer = io.BytesIO()
    file.save(buffer, quality=90)

    assert b"thmb" in buffer.getvalue()
    assert report(buffer.getvalue(), "info").get("frames", 1) == 1


def test_ten_bits_are_scaled_to_sixteen() -> None:
    white = numpy.full((48, 64, 3), 65535, dtype="uint16")
    white[:, :32] = 0
    buffer = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", (64, 48), white.tobytes()).save(buffer, quality=-1, chroma=444)

    found = report(buffer.getvalue(), "info")
    result = pixels(processed(buffer.getvalue(), "convert", {"format": "png"}))

    assert (found["bits"], found["color_space"]) == (16, "rgb16")
    assert (result[0, 0].max(), result[0, 63].min()) == (0, 255)


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_gray_is_scaled_to_sixteen_bits(bits: int) -> None:
    ramp = numpy.linspace(0, 2**bits - 1, 64).astype("uint16") * numpy.ones((48, 1), "uint16")
    file = io.BytesIO()
    pillow_heif.encode(f"I;{bits}", (64, 48), ramp.tobytes(), file, quality=100)

    image = tifffile.imread(io.BytesIO(processed(file.getvalue(), "convert", {"format": "tiff"})))

    assert image.dtype == "uint16"
    assert numpy.abs(image / 65535 - ramp / (2**bits - 1)).max() < 0.02


def test_info_calls_the_format_heic() -> None:
    assert report(heic(opened(photo())), "info")["format"] == "heic"


@pytest.mark.parametrize(("mode", "extension", "format"), [("RGB", ".jpg", "JPEG"), ("RGBA", ".png", "PNG")])
def test_a_result_in_the_format_of_the_source_is_a_jpeg_or_with_alpha_a_png(
    tmp_path: Path, mode: str, extension: str, format: str
) -> None:
    source, result = tmp_path / "source", tmp_path / "result"
    source.write_bytes(heic(opened(photo(mode=mode))))

    written = process_image(source, {}, result, plan_of("resize", {"width": 32, "height": 24}), LIMITS)

    assert written == extension
    assert (opened(result.read_bytes()).format, opened(result.read_bytes()).size) == (format, (32, 24))


def test_an_image_over_the_limit_is_refused_by_its_header(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(heic(opened(photo(100, 100)))[:-200])  # its pixels cannot be decoded

    with pytest.raises(ImageError, match="10,000 pixels; the limit is 9,999"):
        decode(source, ImageLimits(max_pixels=9_999, max_frames=1), sequential=True)


@pytest.mark.parametrize("claimed", [(30, 20), (9_000, 9_000)])
def test_a_header_with_another_size_than_the_tiles_is_damage(claimed: tuple[int, int]) -> None:
    source = heic(opened(photo(300, 200)), tile_size=128)
    size = struct.pack(">II", 300, 200)
    assert source.count(size) == 1

    with pytest.raises(ImageError, match=r"damaged: .*size"):
        processed(source.replace(size, struct.pack(">II", *claimed)), "convert", KEPT)


@pytest.mark.parametrize("kept", [20, 100, 300, 0.5, 0.9])
def test_a_damaged_file_is_refused_with_a_reason(kept: float) -> None:
    whole = heic(opened(photo()))
    length = int(kept if kept > 1 else len(whole) * kept)

    with pytest.raises(ImageError, match=r"^The image is damaged: .{5,}\.$"):
        processed(whole[:length], "convert", KEPT)
