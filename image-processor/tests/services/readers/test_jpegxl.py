"""JPEG XL: pixels compared with the encoder's input, orientation, alpha, profiles, metadata, limits, damage."""

import io
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import imagecodecs
import numpy
import pytest
from image_processor.imaging.profiles import Primaries, TransferFunction, small_profile
from image_processor.services.codec.decoding import ImageError, ImageLimits, decode
from image_processor.services.codec.plan import plan_of
from image_processor.services.codec.process import process_image
from PIL import Image, ImageCms, ImageOps

from tests.support.algorithm_runs import LIMITS, processed, report
from tests.support.images import opened, photo, pixels
from tests.support.jpegxl import HLG, LINEAR, P3, PQ, jpeg_xl_files, jpegxl

pytestmark = pytest.mark.slow

KEPT = {"format": "png", "metadata": "keep"}
LEAST_LOSS = 0.1
"""Butteraugli distance; 1 is hardly visible."""


def photograph(mode: str = "RGB", width: int = 64, height: int = 48) -> numpy.ndarray:
    """Return the photograph as an array of three axes."""
    array = numpy.asarray(opened(photo(width, height, mode=mode)))
    return array.reshape(*array.shape[:2], -1)


def with_alpha(array: numpy.ndarray) -> numpy.ndarray:
    ramp = numpy.tile(numpy.arange(64, dtype="uint8") * 4, (48, 1))
    return numpy.concatenate([array, ramp[..., None]], axis=2)


def deep(array: numpy.ndarray) -> numpy.ndarray:
    """Return 16-bit samples that 8 bits cannot represent."""
    return numpy.asarray(array.astype("uint16") * 257 - (array > 100) * 3, dtype="uint16")


def decoded(content: bytes) -> numpy.ndarray:
    """Return the decoded pixels."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        samples: numpy.ndarray = decode(Path(file.name), LIMITS, sequential=False).picture.first.numpy()
        return samples


def shown(content: bytes) -> numpy.ndarray:
    """Return the result's colors in sRGB, as LittleCMS converts them from its profile."""
    image = opened(content)
    if "icc_profile" in image.info:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"))
        image = image if converted is None else converted
    return numpy.asarray(image).astype(int)


def wide_profile() -> bytes:
    """Return a wide-gamut profile that no enumerated color encoding of JPEG XL has."""
    return small_profile(Primaries((0.70, 0.29), (0.20, 0.75), (0.14, 0.05)), TransferFunction(2.0), gray=False)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pixels_of_a_lossless_file_are_exactly_those_that_were_encoded(mode: str) -> None:
    array = photograph(mode)

    assert (decoded(jpegxl(array)) == array.squeeze()).all()
    assert (decoded(jpegxl(with_alpha(array))) == with_alpha(array)).all()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_sixteen_bits_are_kept(mode: str) -> None:
    array = deep(photograph(mode))

    found = report(jpegxl(array), "info")

    assert (found["bits"], found["color_space"]) == (16, "rgb16" if mode == "RGB" else "gray16")
    assert (decoded(jpegxl(array)) == array.squeeze()).all()


def test_floating_point_becomes_sixteen_bits() -> None:
    array = photograph().astype("float32") / 255
    array[0, 0] = (-0.5, 1, 0.5)

    result = imagecodecs.png_decode(processed(jpegxl(array), "convert", KEPT))

    assert result[0, 0].tolist() == [0, 65535, 32768]
    assert numpy.abs(result.astype(int) - numpy.clip(array, 0, 1) * 65535).max() <= 1


def brighter(array: numpy.ndarray) -> numpy.ndarray:
    """Return the picture as floating-point numbers, with a lamp four times as bright as white."""
    bright = array.astype("float32") / 255
    bright[8:24, 8:24] = 4
    return bright


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("distance", [0, 1])
def test_floating_point_above_white_is_refused_as_in_a_tiff(distance: float, mode: str) -> None:
    source = jpegxl(brighter(photograph(mode)), distance=distance, transfer=LINEAR)

    with pytest.raises(ImageError, match=r"floating-point samples up to [3-5].*, but 1 is white: scale them"):
        processed(source, "convert", KEPT)


@pytest.mark.parametrize("distance", [1, 10])
def test_errors_of_compression_above_white_are_clipped(distance: float) -> None:
    array = (numpy.random.default_rng(1).random((64, 64, 3)) > 0.5).astype("float32")
    source = jpegxl(array, distance=distance)
    samples = imagecodecs.jpegxl_decode(source)
    assert samples.max() > 1.2

    result = imagecodecs.png_decode(processed(source, "convert", KEPT))

    assert numpy.abs(result - numpy.clip(samples, 0, 1) * 65535).max() <= 1


def test_a_lossy_file_looks_like_what_was_encoded() -> None:
    array = photograph()

    result = pixels(processed(jpegxl(array, distance=LEAST_LOSS), "convert", KEPT))

    assert numpy.abs(result - array).max() <= 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_image_is_upright(orientation: int) -> None:
    array = photograph()
    stored = Image.fromarray(array)
    stored.getexif()[0x0112] = orientation
    exif = Image.Exif()
    exif[0x0112] = orientation
    boxes = [(b"Exif", bytes(4) + exif.tobytes().removeprefix(b"Exif\0\0"))]

    source = jpegxl(array, orientation=orientation, boxes=boxes)
    result = opened(processed(source, "convert", KEPT))

    assert (numpy.asarray(result) == numpy.asarray(ImageOps.exif_transpose(stored))).all()
    assert result.getexif().get(0x0112, 1) == 1
    assert report(source, "info")["width"] == result.width


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("offset", [0, 6])
def test_exif_and_xmp_are_kept(offset: int, *, compressed: bool) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    boxes = [(b"Exif", offset.to_bytes(4, "big") + b"Exif\0\0"[:offset] + block), (b"xml ", xmp)]

    source = jpegxl(photograph(), boxes=boxes, compressed_boxes=compressed)
    result = opened(processed(source, "convert", {**KEPT, "metadata": "keep"}))
    stripped = processed(jpegxl(photograph(), boxes=boxes), "convert", {**KEPT, "metadata": "strip"})

    assert result.getexif()[0x010F] == "Camera"
    assert b"xmpmeta" in str(result.info["XML:com.adobe.xmp"]).encode()
    assert b"Camera" not in stripped
    assert b"xmpmeta" not in stripped


@pytest.mark.parametrize("distance", [0, LEAST_LOSS])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_srgb_gets_no_profile(mode: str, distance: float) -> None:
    result = opened(processed(jpegxl(photograph(mode), distance=distance), "convert", KEPT))

    assert "icc_profile" not in result.info


@pytest.mark.parametrize("distance", [0, LEAST_LOSS])
def test_display_p3_colors_are_converted_correctly(distance: float) -> None:
    array = numpy.full((16, 16, 3), (200, 120, 60), dtype="uint8")

    result = shown(processed(jpegxl(array, primaries=P3, distance=distance), "convert", KEPT))

    # The same color by the matrices of CSS Color 4 (17): from Display P3 to XYZ, and from XYZ to sRGB.
    assert numpy.abs(result - (213, 115, 42)).max() <= 2


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("distance", [0, LEAST_LOSS])
def test_linear_light_is_converted_correctly(distance: float, bands: int) -> None:
    array = numpy.full((16, 16, bands), 13933, dtype="uint16")

    result = pixels(
        processed(jpegxl(array, transfer=LINEAR, distance=distance), "convert", {**KEPT, "profile": "srgb"})
    )

    assert numpy.abs(result - 127).max() <= 2  # IEC 61966-2-1: 0.2126 is 127 of 255


@pytest.mark.parametrize("distance", [0, LEAST_LOSS])
def test_an_icc_profile_is_kept_with_its_pixels(distance: float) -> None:
    array = numpy.full((16, 16, 3), (200, 120, 60), dtype="uint8")

    result = opened(processed(jpegxl(array, icc=wide_profile(), distance=distance), "convert", KEPT))

    assert result.info["icc_profile"] == wide_profile()
    assert numpy.abs(numpy.asarray(result).astype(int) - array).max() <= 2


def test_the_profile_of_a_gray_image_is_kept() -> None:
    profile = small_profile(Primaries((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), TransferFunction(1.8), gray=True)

    result = opened(processed(jpegxl(photograph("L"), icc=profile), "convert", KEPT))

    assert (result.mode, result.info["icc_profile"]) == ("L", profile)
    assert (numpy.asarray(result) == photograph("L").squeeze()).all()


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("distance", [0, LEAST_LOSS])
def test_the_error_for_high_dynamic_range_names_it(transfer: int, distance: float) -> None:
    source = jpegxl(deep(photograph()), primaries=9, transfer=transfer, distance=distance)

    with pytest.raises(ImageError, match="high dynamic range"):
        processed(source, "convert", KEPT)


def test_the_error_for_cmyk_names_it() -> None:
    source = jpegxl(photograph(), black=photograph("L"))

    with pytest.raises(ImageError, match="CMYK"):
        processed(source, "convert", KEPT)


def test_premultiplied_colors_are_divided_by_their_alpha() -> None:
    array = numpy.full((8, 8, 4), (100, 50, 25, 128), dtype="uint8")

    result = decoded(jpegxl(array, premultiplied=True))

    assert numpy.abs(result.astype(int) - (199, 100, 50, 128)).max() <= 1


def animation() -> bytes:
    return jpegxl(photograph(), 255 - photograph())


@pytest.mark.parametrize("format", ["source", "webp", "gif"])
def test_losing_frames_is_an_error(format: str) -> None:
    with pytest.raises(ImageError, match=r"JPEG XL is animated, .*To get it, choose the output format"):
        processed(animation(), "convert", {"format": format})


def test_the_first_frame_of_an_animation_is_read_if_one_is_enough() -> None:
    by_format = pixels(processed(animation(), "convert", KEPT))
    by_page = pixels(processed(animation(), "flip", {"source": {"page": 1}}))
    by_frames = pixels(processed(animation(), "convert", {"format": "webp", "lossless": True, "source": {"frames": 1}}))

    assert (by_format == photograph()).all()
    assert (by_frames == photograph()).all()
    assert (by_page == photograph()[:, ::-1]).all() or (by_page == photograph()[::-1]).all()
    with pytest.raises(ImageError, match="only its first frame can be read"):
        processed(animation(), "convert", {**KEPT, "source": {"page": 2}})


@pytest.mark.parametrize(
    ("distance", "bands", "extension"), [(0, 3, ".png"), (LEAST_LOSS, 3, ".jpg"), (LEAST_LOSS, 4, ".png")]
)
def test_a_result_in_the_format_of_the_source_is_a_png_or_for_a_lossy_source_a_jpeg(
    tmp_path: Path, distance: float, bands: int, extension: str
) -> None:
    (tmp_path / "source").write_bytes(jpegxl(with_alpha(photograph())[..., :bands].copy(), distance=distance))

    written = process_image(tmp_path / "source", {}, tmp_path / "result", plan_of("flip", None), LIMITS)

    assert written == extension


def test_an_image_over_the_limit_is_refused_by_its_header(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(jpegxl(photograph(width=100, height=100)))

    with pytest.raises(ImageError, match="10,000 pixels; the limit is 9,999"):
        decode(source, ImageLimits(max_pixels=9_999, max_frames=1), sequential=True)


@pytest.mark.parametrize("boxes", [(), ((b"xml ", b"<x/>"),)])
@pytest.mark.parametrize("kept", [2, 3, 10, 20, 40, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_refused_with_a_reason(kept: float, boxes: tuple[tuple[bytes, bytes], ...]) -> None:
    whole = jpegxl(photograph(), boxes=boxes)
    length = int(kept if kept > 1 else len(whole) * kept)

    with pytest.raises(ImageError, match=r"^The (image|file) .{5,}\.$"):
        processed(whole[:length], "convert", KEPT)


def test_random_bytes_after_the_signature_are_damage() -> None:
    with pytest.raises(ImageError, match="damaged"):
        processed(b"\xff\x0a" + bytes(range(256)) * 20, "convert", KEPT)


@pytest.mark.parametrize("number", range(len(jpeg_xl_files())))
def test_a_damaged_file_gives_a_picture_or_an_error_with_a_reason(number: int, tmp_path: Path) -> None:
    whole, places = jpeg_xl_files()[number], random.Random(number)

    for _ in range(60):
        content = bytearray(whole)
        for _ in range(3):
            content[places.randrange(12, len(content))] = places.randrange(256)
        (tmp_path / "source").write_bytes(content)
        try:
            decode(tmp_path / "source", LIMITS, sequential=False).picture.first.avg()
        except ImageError as error:
            assert str(error).endswith(".")


@pytest.mark.slow
def test_too_little_memory_is_not_reported_as_damage(tmp_path: Path) -> None:
    """Neither does it end the process, whether the decoder or the buffer for its pixels lacks memory."""
    blocks = numpy.random.default_rng(0).integers(0, 256, (100, 100, 3), "uint8")
    (tmp_path / "source").write_bytes(jpegxl(numpy.kron(blocks, numpy.ones((16, 16, 1), "uint8"))))
    code = """if True:
        import resource, sys
        from pathlib import Path
        from image_processor.services.codec.decoding import ImageLimits, decode
        from image_processor.services.readers import jpegxl, libjxl

        libjxl.library()
        status = Path("/proc/self/status").read_text()
        now = int(status.partition("VmData:")[2].split()[0]) * 1024
        limit = now + int(sys.argv[2]) * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        try:
            decode(Path(sys.argv[1]), ImageLimits(10**9, 1), sequential=False)
        except MemoryError:
            print("no memory")
    """

    for mebibytes in (5, 15, 25):
        arguments = [sys.executable, "-c", code, str(tmp_path / "source"), str(mebibytes)]
        run = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert (run.returncode, run.stdout.strip()) == (0, "no memory"), run.stderr[-500:]
