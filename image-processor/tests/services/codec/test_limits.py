"""Limits of decoded bytes and bands, checked before pixels are read and after each step."""

from pathlib import Path

import pytest
import pyvips
from image_processor.services.codec.decoding import decode
from image_processor.services.codec.errors import ImageError
from image_processor.services.codec.limits import SAMPLE_BYTES, ImageLimits, check_frames_of
from service_kit.texts import sentence

from tests.support.algorithm_runs import processed
from tests.support.images import photo

PIXELS, FRAMES, SUBJECT = 10**6, 10, sentence("The image has")


@pytest.mark.parametrize(("name", "mode", "size"), [("PNG", "RGB", 3), ("TIFF", "RGBA", 4), ("TIFF", "F", 4)])
def test_the_limit_of_decoded_bytes_counts_bands_and_bytes_of_a_sample(
    tmp_path: Path, name: str, mode: str, size: int
) -> None:
    source = tmp_path / "source"
    source.write_bytes(photo(40, 25, mode, name))

    decode(source, ImageLimits(PIXELS, FRAMES, 1000 * size), sequential=True)
    with pytest.raises(ImageError, match=r"of decoded pixels; the limit is .* Make it smaller, or save it with"):
        decode(source, ImageLimits(PIXELS, FRAMES, 1000 * size - 1), sequential=True)


@pytest.mark.parametrize("name", ["BMP", "SVG"])
def test_readers_of_our_own_have_the_limit_of_decoded_bytes(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="25"/>'
    source.write_bytes(svg if name == "SVG" else photo(40, 25, format="BMP"))

    with pytest.raises(ImageError, match="of decoded pixels"):
        decode(source, ImageLimits(PIXELS, FRAMES, 2000), sequential=True)


def test_the_limit_of_decoded_bytes_counts_all_frames() -> None:
    frame = pyvips.Image.black(10, 10, bands=3)

    check_frames_of([frame] * 4, ImageLimits(PIXELS, FRAMES, 1200), SUBJECT)
    with pytest.raises(ImageError, match=r"1\.2 KiB of decoded pixels"):
        check_frames_of([frame], ImageLimits(PIXELS, FRAMES, 1199), SUBJECT, 4)


def test_each_step_has_the_limit_of_decoded_bytes() -> None:
    limits = ImageLimits(PIXELS, FRAMES, 64 * 48 * 3)
    larger = {"width": 128, "height": 96, "enlarge": True}

    with pytest.raises(ImageError, match=r"The result would have .* of decoded pixels"):
        processed(photo(), "resize", larger, limits=limits)


@pytest.mark.parametrize("bands", [5, 6, 100])
def test_an_image_has_at_most_five_bands(tmp_path: Path, bands: int) -> None:
    source = tmp_path / "source.tif"
    pyvips.Image.black(8, 8, bands=bands).tiffsave(str(source))
    limits = ImageLimits(PIXELS, FRAMES)

    if bands == 5:
        assert decode(source, limits, sequential=True).picture.width == 8
        return
    with pytest.raises(ImageError, match=f"{bands} bands; the limit is 5.* at most one alpha channel"):
        decode(source, limits, sequential=True)


def test_every_format_of_libvips_has_a_number_of_bytes() -> None:
    for name, size in SAMPLE_BYTES.items():
        image = pyvips.Image.black(3, 1).cast(name)
        assert len(image.write_to_memory()) == 3 * size
