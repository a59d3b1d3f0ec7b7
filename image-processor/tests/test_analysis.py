"""Analyses, compared with the libraries that define them."""

import math
from pathlib import Path
from typing import cast

import blurhash
import imagehash
import numpy
import pytest
from image_processor.algorithms.blurhash import encode
from image_processor.services.codec.decoding import ImageError
from numpy.typing import NDArray
from PIL import Image, ImageColor
from scipy import cluster
from skimage import data, metrics
from skimage.color import rgb2lab

from tests.support.algorithm_runs import processed, report
from tests.support.images import encoded, opened, photo, pixels


def test_info_describes_an_image() -> None:
    assert report(photo(64, 48, format="JPEG"), "info") == {
        "format": "jpeg",
        "width": 64,
        "height": 48,
        "frames": 1,
        "bands": 3,
        "bits": 8,
        "color_space": "srgb",
        "alpha": False,
        "profile": False,
        "exif": False,
        "xmp": False,
        "iptc": False,
        "dots_per_inch": 72.0,
    }


def test_info_describes_an_animation() -> None:
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "blue", "green")]
    source = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=[50, 70, 90], loop=2)

    found = report(source, "info")

    assert (found["frames"], found["delays"], found["loop"], found["height"]) == (3, [50, 70, 90], 2, 10)


def test_histogram_matches_numpy() -> None:
    found = report(photo(), "histogram")

    for band, name in enumerate(("red", "green", "blue")):
        channel = cast("dict[str, object]", found[name])
        values = pixels(photo())[..., band]
        assert channel["counts"] == numpy.bincount(values.ravel(), minlength=256).tolist()
        assert math.isclose(cast("float", channel["mean"]), values.mean(), abs_tol=0.001)
        assert math.isclose(cast("float", channel["deviation"]), values.std(), abs_tol=0.001)
        assert (channel["minimum"], channel["maximum"]) == (values.min(), values.max())


def test_dominant_colors_are_those_of_the_areas() -> None:
    image = Image.new("RGB", (100, 100), (200, 30, 30))
    image.paste((20, 40, 180), (0, 0, 100, 30))
    image.paste((250, 250, 240), (0, 90, 100, 100))

    found = cast("list[dict[str, object]]", report(encoded(image, "PNG"), "dominant_colors", {"count": 8})["colors"])

    assert [(color["color"], color["share"]) for color in found] == [
        ("#c81e1e", 0.6),
        ("#1428b4", 0.3),
        ("#fafaf0", 0.1),
    ]


@pytest.mark.parametrize("name", ["coffee.png", "chelsea.png", "astronaut.png"])
def test_dominant_colors_stand_for_a_photograph_as_well_as_those_of_scipys_k_means(name: str) -> None:
    content = sample(name)
    small = opened(content).convert("RGB")
    small.thumbnail((128, 128))
    points = rgb2lab(numpy.asarray(small)).reshape(-1, 3)

    found = cast("list[dict[str, object]]", report(content, "dominant_colors", {"count": 6})["colors"])

    def error(centers: NDArray[numpy.float64]) -> float:
        return float(((points[:, None] - centers[None]) ** 2).sum(axis=2).min(axis=1).mean())

    theirs = min(error(cluster.vq.kmeans2(points, 6, minit="++", seed=seed)[0]) for seed in range(5))
    colors = numpy.array([[ImageColor.getrgb(cast("str", color["color"])) for color in found]], dtype="uint8")
    ours = error(rgb2lab(colors)[0])
    assert len(found) == 6
    assert ours <= theirs * 1.1


def test_transparent_pixels_have_no_dominant_color() -> None:
    clear = encoded(Image.new("RGBA", (10, 10), (255, 0, 0, 0)), "PNG")

    assert report(clear, "dominant_colors") == {"colors": []}


@pytest.mark.parametrize(("x", "y"), [(4, 3), (1, 1), (9, 9), (5, 2)])
@pytest.mark.parametrize("size", [(64, 48), (33, 64), (1, 1)])
def test_blurhash_matches_its_library(x: int, y: int, size: tuple[int, int]) -> None:
    values = pixels(photo(*size))

    assert encode(values.astype("uint8"), x, y) == blurhash.encode(values.tolist(), x, y)


def test_blurhash_reports_the_size_of_the_image() -> None:
    found = report(photo(640, 480), "blurhash")

    assert (found["width"], found["height"], len(cast("str", found["blurhash"]))) == (640, 480, 28)


def test_phash_is_near_that_of_imagehash() -> None:
    for name in ("coffee.png", "chelsea.png", "astronaut.png", "rocket.jpg"):
        content = sample(name)

        ours = imagehash.hex_to_hash(cast("str", report(content, "phash")["phash"]))

        assert ours - imagehash.phash(opened(content)) <= 6


def test_phash_recognizes_an_image() -> None:
    original = cast("str", report(sample("coffee.png"), "phash")["phash"])
    smaller = processed(sample("coffee.png"), "resize", {"width": 150, "output": {"format": "jpeg", "quality": 40}})

    again = cast("str", report(smaller, "phash")["phash"])
    another = cast("str", report(sample("rocket.jpg"), "phash")["phash"])

    assert distance(original, again) <= 4
    assert distance(original, another) > 16


def distance(first: str, second: str) -> int:
    return (int(first, 16) ^ int(second, 16)).bit_count()


def sample(name: str) -> bytes:
    return (Path(data.__file__).parent / name).read_bytes()


@pytest.mark.slow
def test_compare_matches_scikit_image() -> None:
    coffee = sample("coffee.png")
    other = processed(coffee, "convert", {"format": "jpeg", "quality": 20})

    found = report(coffee, "compare", {"file_id": 3}, {3: other})

    first, second = (numpy.asarray(opened(content).convert("RGB")) for content in (coffee, other))
    assert math.isclose(
        cast("float", found["psnr"]), metrics.peak_signal_noise_ratio(first, second, data_range=255), abs_tol=0.05
    )
    grays = [numpy.asarray(opened(content).convert("L")) for content in (coffee, other)]
    alike = metrics.structural_similarity(*grays, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    assert math.isclose(cast("float", found["ssim"]), alike, abs_tol=0.003)


def test_equal_images_are_equal() -> None:
    assert report(photo(), "compare", {"file_id": 3}, {3: photo(format="TIFF")}) == {"equal": True, "ssim": 1.0}


def test_images_of_two_sizes_cannot_be_compared() -> None:
    with pytest.raises(ImageError, match="resize one of them first"):
        report(photo(), "compare", {"file_id": 3}, {3: photo(10, 10)})


def test_exif_is_read() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x8298] = "Pix (Mill), Ltd", "(c) Ada"
    exif.get_ifd(0x8769)[0x9003] = "2026:11:25 10:00:00"
    exif.get_ifd(0x8825)[1] = "N"

    found = cast("dict[str, dict[str, str]]", report(photo(format="JPEG", exif=exif), "exif"))

    assert found["image"]["Make"] == "Pix (Mill), Ltd"
    assert found["image"]["Copyright"] == "(c) Ada"
    assert found["photo"]["DateTimeOriginal"] == "2026:11:25 10:00:00"
    assert found["gps"]["GPSLatitudeRef"] == "N"


def test_exif_values_have_the_names_of_the_standard() -> None:
    exif = Image.Exif()
    exif[0x0128] = 2
    exif.get_ifd(0x8769).update({0x8822: 2, 0x9207: 5, 0xA403: 1, 0x9209: 0x19, 0xA001: 65535, 0xA406: 3, 0xA402: 77})

    found = cast("dict[str, dict[str, str]]", report(photo(format="JPEG", exif=exif), "exif"))

    assert found["image"]["ResolutionUnit"] == "Inch"
    # CIPA DC-008-2019, 4.6.5
    assert {name: found["photo"][name] for name in ("ExposureProgram", "MeteringMode", "WhiteBalance")} == {
        "ExposureProgram": "Normal program",
        "MeteringMode": "Pattern",
        "WhiteBalance": "Manual white balance",
    }
    assert found["photo"]["Flash"] == "Flash fired, auto mode"
    assert (found["photo"]["ColorSpace"], found["photo"]["SceneCaptureType"]) == ("Uncalibrated", "Night scene")
    assert found["photo"]["ExposureMode"] == "77"
    assert "Internal error" not in str(found)


def test_the_place_is_given_in_decimal_degrees_too() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 51.0, 31.5), 3: "E", 4: (151.0, 12.0, 54.0), 5: b"\1", 6: 12.5})

    found = report(photo(format="JPEG", exif=exif), "exif")

    assert (found["latitude"], found["longitude"]) == (-33.85875, 151.215)
    assert found["altitude"] == -12.5


@pytest.mark.parametrize(
    ("value", "meaning", "altitude"),
    [
        # CIPA DC-008-2019, 4.6.6; the names are those of ExifTool's table of GPS tags.
        (0, "Above sea level", 12.5),
        (1, "Below sea level", -12.5),
        # CIPA DC-008-2023 (Exif 3.0).
        (2, "Above sea level", 12.5),
        (3, "Below sea level", -12.5),
        (7, "7", 12.5),
    ],
)
def test_the_reference_of_an_altitude_is_above_or_below_the_sea(value: int, meaning: str, altitude: float) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({5: bytes([value]), 6: 12.5})

    found = report(photo(format="JPEG", exif=exif), "exif")

    assert cast("dict[str, str]", found["gps"])["GPSAltitudeRef"] == meaning
    assert found["altitude"] == altitude


def test_zero_degrees_and_zero_altitude_have_no_sign() -> None:
    exif = Image.Exif()
    zero = (0.0, 0.0, 0.0)
    exif.get_ifd(0x8825).update({1: "S", 2: zero, 3: "W", 4: zero, 5: b"\1", 6: 0.0})

    found = report(photo(format="JPEG", exif=exif), "exif")

    assert [str(found[name]) for name in ("latitude", "longitude", "altitude")] == ["0.0"] * 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_has_only_the_tags_of_the_file(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x9003] = "2020:02:02 02:02:02"

    found = report(photo(format=kind, exif=exif), "exif")

    assert (found["image"], found["photo"]) == ({"Make": "Maker"}, {"DateTimeOriginal": "2020:02:02 02:02:02"})


@pytest.mark.parametrize("latitude", [(51.0,), (), (90.0, 0.0, 1.0), (89.0, 61.0, 0.0), (361.0, 0.0, 0.0)])
def test_an_invalid_place_is_left_out(latitude: tuple[float, ...]) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: latitude})

    assert "latitude" not in report(photo(format="JPEG", exif=exif), "exif")
