"""Faces, on the photograph of an astronaut (NASA, public domain), whose face is known to be where it is."""

from pathlib import Path

import numpy
import pytest
from PIL import Image
from skimage import data

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, pixels

ASTRONAUT = (Path(data.__file__).parent / "astronaut.png").read_bytes()
FACE = (slice(80, 160), slice(190, 255))


@pytest.mark.parametrize("method", ["blur", "pixelate"])
def test_a_face_becomes_unknown_and_the_rest_stays(method: str) -> None:
    before, after = pixels(ASTRONAUT), pixels(processed(ASTRONAUT, "blur_faces", {"method": method}))

    changed = numpy.abs(before - after).max(axis=2) > 0
    assert changed[FACE].mean() > 0.9
    assert not changed[250:].any()
    assert not changed[:, 320:].any()


@pytest.mark.slow
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
