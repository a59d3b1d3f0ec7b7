"""Images read from files: no more pixels than are allowed, however many frames they are in."""

from pathlib import Path

import pytest
from image_processor.services.decoding import ImageError, Limits, decode
from PIL import Image

from tests.support.images import encoded, photo


def animation(width: int, height: int, frames: int, format: str) -> bytes:
    colours = [(40 * number, 100, 200) for number in range(frames)]
    first, *others = [Image.new("RGB", (width, height), colour) for colour in colours]
    return encoded(first, format, save_all=True, append_images=others, duration=100)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_an_image_may_have_just_as_many_pixels_as_are_allowed(tmp_path: Path, format: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(photo(40, 25, format=format))

    decoded = decode(source, Limits(max_pixels=1000, max_frames=1), sequential=True)

    assert (decoded.picture.width, decoded.picture.height) == (40, 25)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_an_image_of_more_pixels_is_refused(tmp_path: Path, format: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(photo(40, 25, format=format))

    with pytest.raises(ImageError, match="1,000 pixels; 999 are possible"):
        decode(source, Limits(max_pixels=999, max_frames=1), sequential=True)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF"])
def test_the_pixels_of_all_frames_count(tmp_path: Path, format: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(animation(20, 10, 5, format))

    with pytest.raises(ImageError, match="1,000 pixels; 999 are possible"):
        decode(source, Limits(max_pixels=999, max_frames=5), sequential=True)

    assert len(decode(source, Limits(max_pixels=1000, max_frames=5), sequential=True).picture.frames) == 5


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF"])
def test_an_animation_of_more_frames_is_refused(tmp_path: Path, format: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(animation(20, 10, 5, format))

    with pytest.raises(ImageError, match="5 frames; 4 are possible"):
        decode(source, Limits(max_pixels=1000, max_frames=4), sequential=True)
