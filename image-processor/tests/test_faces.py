"""Faces, on the photograph of an astronaut (NASA, public domain), where the place of the face is known."""

from pathlib import Path

import numpy
import pytest
from PIL import Image
from skimage import data
from skimage.feature import Cascade

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, pixels

pytestmark = pytest.mark.slow

ASTRONAUT = (Path(data.__file__).parent / "astronaut.png").read_bytes()
FACE = (slice(80, 160), slice(190, 255))


@pytest.mark.parametrize("method", ["blur", "pixelate"])
def test_a_face_is_hidden_and_the_rest_stays(method: str) -> None:
    before, after = pixels(ASTRONAUT), pixels(processed(ASTRONAUT, "blur_faces", {"method": method}))

    changed = numpy.abs(before - after).max(axis=2) > 0
    assert changed[FACE].mean() > 0.9
    assert not changed[250:].any()
    assert not changed[:, 320:].any()


def faces_seen_by_another_detector(image: numpy.ndarray) -> bool:
    """Whether the detector of scikit-image (local binary patterns) finds a face near that of the astronaut."""
    cascade = Cascade(data.lbp_frontal_face_cascade_filename())
    found = cascade.detect_multi_scale(
        img=image[:240, 120:330].astype("uint8"), scale_factor=1.2, step_ratio=1, min_size=(50, 50), max_size=(150, 150)
    )
    return len(found) > 0


def detail(image: numpy.ndarray, cycles: int) -> float:
    """Return the power of all waves in the face with at least this many cycles across its 65 pixels."""
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
