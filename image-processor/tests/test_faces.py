"""Face detection on photographs with faces marked by people, all installed with scikit-image.

They are an astronaut (NASA, public domain), a photographer from the side, and a part of Labeled Faces in the Wild: a
hundred portraits and a hundred other pictures.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import pyvips
from image_processor.imaging.faces import WEIGHTS, Face, faces_of
from PIL import Image
from skimage import data
from skimage.feature import Cascade

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, pixels

pytestmark = pytest.mark.slow

PHOTOGRAPHS = Path(data.__file__).parent
CORPUS = Path(".corpus")
ASTRONAUT = (PHOTOGRAPHS / "astronaut.png").read_bytes()
FACE = (slice(80, 160), slice(190, 255))

# Drawn by hand with a grid: from the hair to the chin, from cheek to cheek.
MARKED = {
    "astronaut.png": Face(180, 70, 88, 110),
    "camera.png": Face(204, 122, 54, 74),
}
HOPPER = Face(41, 28, 42, 49)
SAME = 0.5
"""Minimum intersection over union of two boxes that mean the same face (as in the PASCAL VOC challenge)."""
PORTRAITS = 100
"""Each of the first pictures of the subset shows a face, the others none."""


def searched(image: Image.Image) -> list[Face]:
    return faces_of(pyvips.Image.new_from_buffer(encoded(image, "PNG", compress_level=1), ""))


def in_common(face: Face, other: Face) -> float:
    """Return the intersection of two boxes as a share of their union."""
    width = min(face.left + face.width, other.left + other.width) - max(face.left, other.left)
    height = min(face.top + face.height, other.top + other.height) - max(face.top, other.top)
    both = max(0, width) * max(0, height)
    return both / (face.width * face.height + other.width * other.height - both)


def scaled(face: Face, factor: float, left: int = 0, top: int = 0) -> Face:
    return Face(*(round(value * factor) for value in (face.left + left, face.top + top, face.width, face.height)))


def astronaut() -> Image.Image:
    return Image.open(PHOTOGRAPHS / "astronaut.png").convert("RGB")


def assert_found(image: Image.Image, wanted: list[Face]) -> None:
    found = searched(image)
    assert len(found) == len(wanted), found
    for face in wanted:
        assert max(in_common(face, other) for other in found) >= SAME, found


def test_the_network_is_the_one_that_the_opencv_zoo_publishes() -> None:
    published = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() == published


@pytest.mark.parametrize("name", MARKED)
def test_a_face_is_found_where_a_person_marked_it(name: str) -> None:
    assert_found(Image.open(PHOTOGRAPHS / name), [MARKED[name]])


@pytest.mark.thorough
def test_a_face_in_another_portrait_is_found_where_a_person_marked_it() -> None:
    assert_found(Image.open(CORPUS / "hopper.jpg"), [HOPPER])


@pytest.mark.parametrize("side", [96, 256, 1024, 3000])
def test_a_face_is_found_at_every_size(side: int) -> None:
    assert_found(astronaut().resize((side, side)), [scaled(MARKED["astronaut.png"], side / 512)])


def test_a_face_that_fills_a_large_image_is_found() -> None:
    closeup = astronaut().crop((150, 30, 300, 210)).resize((2000, 2400))

    assert_found(closeup, [scaled(MARKED["astronaut.png"], 2000 / 150, -150, -30)])


def test_a_face_of_little_more_than_1_percent_of_the_image_is_found() -> None:
    crowd = Image.new("RGB", (3000, 2000), (120, 130, 110))
    crowd.paste(astronaut().resize((200, 200)), (1400, 1000))

    found = searched(crowd)

    (face,) = found
    assert 1400 < face.left < 1600
    assert 1000 < face.top < 1200


KINDS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "gray": lambda image: image.convert("L"),
    "gray with alpha": lambda image: image.convert("LA"),
    "alpha": lambda image: image.convert("RGBA"),
    "sixteen bits": lambda image: Image.fromarray(numpy.asarray(image.convert("L")).astype("uint16") * 257),
    "dark": lambda image: image.point(lambda value: value // 4),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_face_is_found_in_every_kind_of_image(kind: str) -> None:
    assert_found(KINDS[kind](astronaut()), [MARKED["astronaut.png"]])


@pytest.mark.parametrize("degrees", [20, -20, 45, 90, 180])
def test_a_turned_face_is_found(degrees: int) -> None:
    turned = astronaut().rotate(degrees, resample=Image.Resampling.BICUBIC)

    (face,) = searched(turned)

    # The center of the face rotates around the center of the image, 256 across and down.
    across, down = 224 - 256, 125 - 256
    angle = numpy.radians(-degrees)
    x = 256 + across * numpy.cos(angle) - down * numpy.sin(angle)
    y = 256 + across * numpy.sin(angle) + down * numpy.cos(angle)
    assert abs(face.left + face.width / 2 - x) < 15
    assert abs(face.top + face.height / 2 - y) < 15


def test_each_face_of_a_montage_is_found_once() -> None:
    montage = Image.new("RGB", (1536, 1024), (90, 90, 90))
    wanted = []
    for place, side in enumerate([512, 400, 300, 200, 500]):
        left, top = place % 3 * 512, place // 3 * 512
        montage.paste(astronaut().resize((side, side)), (left, top))
        marked = scaled(MARKED["astronaut.png"], side / 512)
        wanted.append(Face(marked.left + left, marked.top + top, marked.width, marked.height))

    assert_found(montage, wanted)


@pytest.mark.parametrize("name", ["coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg", "page.png"])
def test_nothing_is_found_where_nobody_is(name: str) -> None:
    assert searched(Image.open(PHOTOGRAPHS / name)) == []


@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000), (31, 33)])
def test_an_image_of_a_strange_size_is_searched(size: tuple[int, int]) -> None:
    assert searched(Image.new("RGB", size, "white")) == []


@pytest.fixture(scope="module")
def subset() -> list[Image.Image]:
    """Return the subset's pictures, 25 pixels wide, each placed in a gray image."""
    canvases = []
    for picture in data.lfw_subset():
        canvas = Image.new("L", (200, 200), 128)
        canvas.paste(Image.fromarray((picture * 255).astype("uint8")).resize((100, 100)), (50, 50))
        canvases.append(canvas)
    return canvases


def test_95_of_100_people_are_found(subset: list[Image.Image]) -> None:
    found = [bool(searched(picture)) for picture in subset[:PORTRAITS]]

    assert sum(found) >= 95


def test_no_face_is_found_in_100_parts_of_pictures_without_one(subset: list[Image.Image]) -> None:
    found = [bool(searched(picture)) for picture in subset[PORTRAITS:]]

    assert len(found) == 100
    assert not any(found)


def test_the_same_image_has_the_same_faces_after_a_search_in_another_image() -> None:
    before = searched(astronaut())
    searched(astronaut().resize((300, 700)))

    assert searched(astronaut()) == before


@pytest.mark.parametrize("method", ["blur", "pixelate"])
def test_a_face_is_hidden_and_the_rest_stays(method: str) -> None:
    before, after = pixels(ASTRONAUT), pixels(processed(ASTRONAUT, "blur_faces", {"method": method}))

    changed = numpy.abs(before - after).max(axis=2) > 0
    assert changed[FACE].mean() > 0.9
    assert not changed[250:].any()
    assert not changed[:, 320:].any()


def faces_seen_by_another_detector(image: numpy.ndarray) -> bool:
    """Return whether scikit-image's detector (local binary patterns) finds a face near that of the astronaut."""
    cascade = Cascade(data.lbp_frontal_face_cascade_filename())
    found = cascade.detect_multi_scale(
        img=image[:240, 120:330].astype("uint8"), scale_factor=1.2, step_ratio=1, min_size=(50, 50), max_size=(150, 150)
    )
    return len(found) > 0


def detail(image: numpy.ndarray, cycles: int) -> float:
    """Return the power of all frequencies in the face with at least this many cycles across its 65 pixels."""
    gray = image[FACE].mean(axis=2)
    height, width = gray.shape
    seen = (gray - gray.mean()) * numpy.outer(numpy.hanning(height), numpy.hanning(width))
    down, across = numpy.fft.fftfreq(height) * 65, numpy.fft.fftfreq(width) * 65
    power = numpy.abs(numpy.fft.fft2(seen)) ** 2
    return float(power[numpy.hypot(down[:, None], across[None, :]) >= cycles].sum())


@pytest.mark.parametrize(
    "params", [{}, {"strength": 10}, {"method": "pixelate"}, {"method": "pixelate", "strength": 10}]
)
def test_another_detector_does_not_find_the_hidden_face(params: dict[str, object]) -> None:
    assert faces_seen_by_another_detector(pixels(ASTRONAUT))

    assert not faces_seen_by_another_detector(pixels(processed(ASTRONAUT, "blur_faces", params)))


@pytest.mark.parametrize(("strength", "cycles"), [(50, 3), (10, 4)])
def test_a_blurred_face_has_no_detail_that_identifies_a_person(strength: int, cycles: int) -> None:
    """People recognize a face by the detail of 8 to 13 cycles across it (R. Näsänen, 1999)."""
    before, after = pixels(ASTRONAUT), pixels(processed(ASTRONAUT, "blur_faces", {"strength": strength}))

    assert detail(after, cycles) < 0.001 * detail(before, cycles)


@pytest.mark.parametrize(("strength", "most"), [(50, 6), (10, 8)])
def test_a_pixelated_face_is_a_few_blocks(strength: int, most: int) -> None:
    result = pixels(processed(ASTRONAUT, "blur_faces", {"method": "pixelate", "strength": strength}))

    edges = numpy.abs(numpy.diff(result[FACE], axis=1)).max(axis=(0, 2)) > 0
    assert 2 <= 1 + edges.sum() <= most


@pytest.mark.thorough
def test_a_large_photograph_is_searched_too() -> None:
    large = encoded(opened(ASTRONAUT).resize((2048, 2048)), "JPEG", quality=95)

    after = pixels(processed(large, "blur_faces", {"output": {"format": "png"}}))

    changed = numpy.abs(pixels(large) - after).max(axis=2) > 2
    assert changed[4 * 90 : 4 * 150, 4 * 195 : 4 * 250].mean() > 0.8


def test_crop_faces_keeps_the_face() -> None:
    result = opened(processed(ASTRONAUT, "crop_faces", {"padding": 0}))

    assert 60 < result.width < 130
    assert 80 < result.height < 150


@pytest.mark.parametrize("ratio", [0.5, 1, 2])
def test_crop_faces_has_the_aspect_ratio(ratio: float) -> None:
    result = opened(processed(ASTRONAUT, "crop_faces", {"aspect_ratio": ratio, "padding": 20}))

    assert abs(result.width / result.height - ratio) < 0.02


def test_two_faces_are_both_kept() -> None:
    pair = Image.new("RGB", (1024, 512))
    pair.paste(opened(ASTRONAUT), (0, 0))
    pair.paste(opened(ASTRONAUT), (512, 0))

    result = opened(processed(encoded(pair, "PNG"), "crop_faces", {"padding": 10}))

    assert result.width > 512
