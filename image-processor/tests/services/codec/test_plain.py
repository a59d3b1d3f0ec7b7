"""Ordinary JPEGs without libvips: the same pixels and metadata as with Pillow, and the same errors as with libvips."""

import io
import struct
from pathlib import Path

import numpy
import pytest
from image_processor.imaging.source import Source
from image_processor.services.codec.decoding import Decoded, ImageError, ImageLimits, decode
from image_processor.services.codec.plain import plain_jpeg
from PIL import Image, ImageCms, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from service_kit.languages import translated
from service_kit.texts import text_of

from tests.support.algorithm_runs import processed, report
from tests.support.images import encoded, opened, photo, pixels

pytestmark = pytest.mark.slow

LIMITS = ImageLimits(max_pixels=10_000_000, max_frames=1)
ORIENTATION, ARTIST, COPYRIGHT, MODEL = 0x0112, 0x013B, 0x8298, 0x0110
COPYRIGHT_TEXT = "Ada Lovelace"


def smooth(width: int, height: int, mode: str = "RGB", **options: object) -> bytes:
    """Return a JPEG of large colored spots, without symmetry."""
    spots = numpy.random.default_rng(8).integers(0, 255, (7, 9, 3), dtype="uint8")
    image = Image.fromarray(spots).resize((width, height), Image.Resampling.BICUBIC).convert(mode)
    return encoded(image, "JPEG", **{"quality": 97, **options})


def jpeg(content: bytes) -> JpegImageFile:
    image = opened(content)
    assert isinstance(image, JpegImageFile)
    return image


def exif(**tags: object) -> Image.Exif:
    made = Image.Exif()
    for name, value in tags.items():
        made[globals()[name.upper()]] = value
    return made


def read(content: bytes, folder: Path, wanted: Source | None = None) -> Decoded | None:
    path = folder / "source"
    path.write_bytes(content)
    return plain_jpeg(path, LIMITS, wanted or Source(), lambda: decode(path, LIMITS, sequential=True))


def shrunk(content: bytes, width: int, height: int) -> numpy.ndarray:
    return pixels(processed(content, "resize", {"width": width, "height": height, "output": {"format": "png"}}))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(640, 480), (637, 475)])
def test_a_small_result_shows_what_pillow_shows(size: tuple[int, int], orientation: int, mode: str) -> None:
    source = smooth(*size, mode=mode, exif=exif(orientation=orientation))

    result = shrunk(source, 77, 60)

    upright = ImageOps.exif_transpose(opened(source)).resize((77, 60), Image.Resampling.LANCZOS)
    apart = numpy.abs(result - numpy.asarray(upright).astype(int))
    assert apart.mean() < 1
    assert apart.max() <= 6, "not shifted, at the edges neither"


@pytest.mark.parametrize("size", [(1600, 1200), (1603, 1201)])
def test_a_large_result_shows_what_pillow_shows(size: tuple[int, int]) -> None:
    source = smooth(*size)

    result = shrunk(source, 700, 525)

    expected = numpy.asarray(opened(source).resize((700, 525), Image.Resampling.LANCZOS)).astype(int)
    assert numpy.abs(result - expected).mean() < 1


def test_a_cut_result_is_that_part_of_the_small_image() -> None:
    source = smooth(640, 480)
    params = {"width": 60, "height": 60, "fit": "cover", "gravity": "east", "output": {"format": "png"}}

    result = pixels(processed(source, "resize", params))

    expected = numpy.asarray(opened(source).resize((80, 60), Image.Resampling.LANCZOS))[:, 20:].astype(int)
    assert numpy.abs(result - expected).mean() < 1


def test_the_jpeg_is_encoded_as_requested() -> None:
    output = {"quality": 40, "subsampling": "4:4:4", "progressive": True}

    result = jpeg(processed(smooth(640, 480), "resize", {"width": 80, "output": output}))

    plain = jpeg(encoded(Image.new("RGB", (8, 8)), "JPEG", quality=40))
    assert result.quantization == plain.quantization
    assert result.info["progressive"] == 1
    assert [layer[1:3] for layer in result.layer] == [(1, 1)] * 3


@pytest.mark.parametrize("progressive", [False, True])
def test_noise_of_high_quality_is_encoded(*, progressive: bool) -> None:
    noise = Image.fromarray(numpy.random.default_rng(8).integers(0, 256, (400, 500, 3), dtype="uint8"))
    output = {"quality": 100, "progressive": progressive}

    result = opened(
        processed(encoded(noise, "JPEG", quality=100, subsampling=0), "resize", {"width": 500, "output": output})
    )

    assert numpy.abs(numpy.asarray(result).astype(int) - numpy.asarray(noise)).mean() < 3


def test_the_profile_stays_and_where_the_photograph_was_taken_does_not() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = smooth(640, 480, icc_profile=profile, exif=exif(model="Camera", orientation=6))

    result = opened(processed(source, "resize", {"width": 60}))

    assert result.info["icc_profile"] == profile
    assert not result.getexif()


@pytest.mark.parametrize("format", ["webp", "png", "avif"])
def test_other_formats_show_the_same_and_have_no_metadata(format: str) -> None:
    source = smooth(640, 480, exif=exif(model="Camera", orientation=3))

    result = opened(processed(source, "resize", {"width": 80, "output": {"format": format}}))

    upright = ImageOps.exif_transpose(opened(source)).resize((80, 60), Image.Resampling.LANCZOS)
    assert numpy.abs(numpy.asarray(result.convert("RGB")).astype(int) - numpy.asarray(upright)).mean() < 4
    assert not result.getexif()


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_the_resolution_stays_in_formats_that_always_have_one(format: str) -> None:
    source = smooth(640, 480, dpi=(300, 300))

    result = opened(processed(source, "resize", {"width": 80, "output": {"format": format}}))

    assert result.info["dpi"] == pytest.approx((300, 300), abs=0.01)


def test_a_profile_is_dropped_on_request() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    result = opened(
        processed(smooth(640, 480, icc_profile=profile), "resize", {"width": 60, "output": {"profile": "strip"}})
    )

    assert "icc_profile" not in result.info


@pytest.mark.parametrize("tag", ["artist", "copyright"])
def test_the_authors_name_stays(tag: str) -> None:
    source = smooth(640, 480, exif=exif(**{tag: COPYRIGHT_TEXT, "model": "Camera"}))

    result = opened(processed(source, "resize", {"width": 60})).getexif()

    assert result[globals()[tag.upper()]] == COPYRIGHT_TEXT
    assert MODEL not in result


def test_all_metadata_stay_on_request() -> None:
    source = smooth(640, 480, exif=exif(model="Camera"))

    result = opened(processed(source, "resize", {"width": 60, "output": {"metadata": "keep"}})).getexif()

    assert result[MODEL] == "Camera"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.98])
@pytest.mark.parametrize("ending", [b"", b"\xff\xd9"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_truncated_file_is_an_error(share: float, ending: bytes, *, progressive: bool) -> None:
    content = smooth(640, 480, progressive=progressive)

    with pytest.raises(ImageError, match="cannot be decoded"):
        processed(content[: int(len(content) * share)] + ending, "resize", {"width": 60})


def test_a_file_with_damaged_pixels_is_an_error() -> None:
    content = bytearray(smooth(640, 480))
    middle = len(content) // 2
    content[middle : middle + 40] = b"\xff\xc4\x00\x02" * 10

    with pytest.raises(ImageError, match="cannot be decoded"):
        processed(bytes(content), "resize", {"width": 60})


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    limits = ImageLimits(max_pixels=640 * 480 - 1, max_frames=1)

    with pytest.raises(ImageError, match=r"The image has 307,200 pixels; the limit is 307,199\.") as refused:
        processed(smooth(640, 480)[:5000], "resize", {"width": 60}, limits=limits)

    assert translated(text_of(refused.value), "ru").startswith("В изображении 307")


def test_too_many_decoded_bytes_are_refused_before_they_are_decoded() -> None:
    limits = ImageLimits(max_pixels=10**6, max_frames=1, max_decoded_bytes=640 * 480 * 3 - 1)

    with pytest.raises(ImageError, match="of decoded pixels; the limit is"):
        processed(smooth(640, 480)[:5000], "resize", {"width": 60}, limits=limits)


@pytest.mark.parametrize("progressive", [False, True])
def test_an_ordinary_jpeg_needs_no_libvips(tmp_path: Path, *, progressive: bool) -> None:
    content = smooth(640, 480, progressive=progressive, exif=exif(orientation=6, copyright="me"))

    decoded = read(content, tmp_path)

    assert decoded is not None
    assert decoded.picture.small(60, 60) is not None


def in_pieces(profile: bytes) -> bytes:
    """Return a JPEG whose profile is split into two segments."""
    plain = smooth(64, 48)
    half = len(profile) // 2
    pieces = [b"ICC_PROFILE\0" + bytes([number, 2]) for number in (1, 2)]
    parts = [pieces[0] + profile[:half], pieces[1] + profile[half:]]
    segments = b"".join(b"\xff\xe2" + (len(part) + 2).to_bytes(2, "big") + part for part in parts)
    return plain[:2] + segments + plain[2:]


def exif_block(*orientations: int, version: int = 42) -> bytes:
    """Return EXIF whose first directory has an entry for each of these orientations."""
    count, place = ("<Q", "<HHQQ") if version == 43 else ("<H", "<HHII")
    head = struct.pack("<2sHIQ", b"II", version, 8, 16) if version == 43 else struct.pack("<2sHI", b"II", version, 8)
    rows = b"".join(struct.pack(place, ORIENTATION, 3, 1, orientation) for orientation in orientations)
    return b"Exif\0\0" + head + struct.pack(count, len(orientations)) + rows + bytes(8)


TWO_ORIENTATIONS = [exif_block(1, 6), exif_block(6, 1)]
BIG_TIFF = exif_block(6, version=43)


@pytest.mark.parametrize("block", [*TWO_ORIENTATIONS, BIG_TIFF], ids=["1 and 6", "6 and 1", "BigTIFF"])
def test_an_odd_orientation_turns_results_of_all_sizes_alike(block: bytes) -> None:
    content = smooth(640, 480, exif=block)
    whole = report(content, "info")
    size = whole["width"], whole["height"]

    small = opened(processed(content, "resize", {"width": 60, "height": 60, "fit": "inside"}))

    assert size == ((640, 480) if small.width > small.height else (480, 640))


UNUSUAL = {
    "a PNG": photo(64, 48),
    "CMYK": smooth(64, 48, mode="CMYK"),
    "a profile in pieces": in_pieces(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
    "Adobe RGB by EXIF": smooth(64, 48, exif=exif(model="R03")),
    "too many scans": smooth(64, 48, progressive=True) + b"\xff\xda" * 101,
    "two orientations": smooth(64, 48, exif=TWO_ORIENTATIONS[0]),
    "EXIF in a BigTIFF": smooth(64, 48, exif=BIG_TIFF),
    "damaged EXIF": smooth(64, 48, exif=b"Exif\0\0broken"),
    "a start and nothing else": b"\xff\xd8\xff\xe0",
}


@pytest.mark.parametrize("content", UNUSUAL.values(), ids=UNUSUAL)
def test_anything_unusual_is_left_to_libvips(content: bytes, tmp_path: Path) -> None:
    assert read(content, tmp_path) is None


def test_a_result_larger_than_the_image_is_left_to_libvips(tmp_path: Path) -> None:
    decoded = read(smooth(64, 48), tmp_path)

    assert decoded is not None
    assert decoded.picture.small(65, 48) is None


def test_an_image_whose_frames_are_asked_for_is_that_of_libvips(tmp_path: Path) -> None:
    content = smooth(64, 48, exif=exif(orientation=6))

    decoded = read(content, tmp_path)

    assert decoded is not None
    shown = numpy.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content)))).astype(int)
    assert numpy.abs(decoded.picture.first.numpy() - shown).max() <= 1
