"""Several images in one, against Pillow and NumPy."""

import io
from collections.abc import Callable

import numpy
import pytest
from image_processor.services.decoding import ImageError
from PIL import Image, ImageSequence

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, photo, pixels


def plain(colour: tuple[int, ...], size: tuple[int, int] = (64, 48)) -> bytes:
    return encoded(Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour), "PNG")


BLENDS: dict[str, Callable[[numpy.ndarray, numpy.ndarray], numpy.ndarray]] = {
    "normal": lambda base, over: over,
    "multiply": lambda base, over: base * over,
    "screen": lambda base, over: base + over - base * over,
    "darken": numpy.minimum,
    "lighten": numpy.maximum,
    "difference": lambda base, over: numpy.abs(base - over),
    "exclusion": lambda base, over: base + over - 2 * base * over,
    "add": lambda base, over: numpy.minimum(1, base + over),
    "overlay": lambda base, over: numpy.where(base <= 0.5, 2 * base * over, 1 - 2 * (1 - base) * (1 - over)),
    "hard-light": lambda base, over: numpy.where(over <= 0.5, 2 * base * over, 1 - 2 * (1 - base) * (1 - over)),
}


@pytest.mark.parametrize("blend", BLENDS)
def test_blend_modes_are_those_of_the_w3c(blend: str) -> None:
    base, over = pixels(photo()) / 255, numpy.array([200, 90, 30]) / 255

    result = pixels(processed(photo(), "overlay", {"file_id": 4, "blend": blend}, {4: plain((200, 90, 30))}))

    expected = numpy.broadcast_to(BLENDS[blend](base, over), base.shape) * 255
    assert numpy.abs(result - expected).max() <= 2


def test_a_mask_keeps_what_lies_under_it() -> None:
    mask = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    mask.paste((0, 0, 0, 255), (0, 0, 32, 48))
    source = encoded(opened(photo()).convert("RGBA"), "PNG")

    kept = pixels(processed(source, "overlay", {"file_id": 4, "blend": "mask"}, {4: encoded(mask, "PNG")}))

    assert (kept[:, :32, 3] == 255).all()
    assert (kept[:, 32:, 3] == 0).all()


def test_an_overlay_lies_where_it_is_put() -> None:
    params = {"file_id": 4, "gravity": "southeast", "x": -3, "y": -5, "width": 10}

    result = pixels(processed(plain((0, 0, 0)), "overlay", params, {4: plain((255, 255, 255), (20, 10))}))

    ys, xs = numpy.nonzero(result[..., 0] > 128)
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (51, 60, 38, 42)


def test_opacity_is_pillows_blend() -> None:
    result = processed(photo(), "overlay", {"file_id": 4, "opacity": 40}, {4: plain((200, 90, 30))})

    expected = numpy.asarray(Image.blend(opened(photo()), opened(plain((200, 90, 30))), 0.4)).astype(int)
    assert numpy.abs(pixels(result) - expected).max() <= 2


def test_an_overlay_of_sixteen_bits_looks_as_one_of_eight() -> None:
    deep = numpy.full((48, 64), 40_000, dtype="uint16")

    result = pixels(processed(photo(), "overlay", {"file_id": 4}, {4: encoded(Image.fromarray(deep), "PNG")}))

    assert numpy.abs(result - 40_000 / 257).max() <= 1


def test_a_text_is_written_in_cyrillic() -> None:
    params = {"mark": {"text": "Привет, мир", "colour": "#ff0000"}, "scale": 80, "opacity": 100, "gravity": "centre"}

    result = pixels(processed(plain((0, 0, 0), (400, 200)), "watermark", params))

    xs = numpy.nonzero(result[..., 0] > 128)[1]
    assert abs((xs.max() - xs.min()) - 320) < 12, "80 per cent of the width"
    assert abs((xs.max() + xs.min()) / 2 - 200) < 8
    assert (result[..., 1] == 0).all()


def test_letters_that_the_font_lacks_are_no_crash() -> None:
    result = opened(processed(plain((0, 0, 0)), "watermark", {"mark": {"text": "漢字 👩‍👧"}}))

    assert result.size == (64, 48)


def test_a_text_of_nothing_is_refused() -> None:
    with pytest.raises(ImageError, match="no character that can be seen"):
        processed(photo(), "watermark", {"mark": {"text": "   "}})


def test_markup_is_written_as_it_is() -> None:
    assert opened(processed(photo(), "watermark", {"mark": {"text": "<b>&amp;</i>"}})).size == (64, 48)


def test_an_image_as_mark_keeps_its_transparency() -> None:
    mark = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    mark.paste((0, 255, 0, 255), (10, 10, 30, 30))
    params = {"mark": {"file_id": 9}, "scale": 50, "opacity": 100, "gravity": "northwest", "margin": 0}

    result = pixels(processed(plain((0, 0, 0), (80, 80)), "watermark", params, {9: encoded(mark, "PNG")}))

    assert result[20, 20].tolist() == [0, 255, 0]
    assert result[2, 2].tolist() == [0, 0, 0]


def test_a_tiled_mark_is_everywhere() -> None:
    params = {"mark": {"file_id": 9}, "scale": 10, "opacity": 100, "tile": True, "margin": 5}

    result = pixels(processed(plain((0, 0, 0), (200, 100)), "watermark", params, {9: plain((255, 255, 255), (20, 20))}))

    for corner in (result[:50, :100], result[:50, 100:], result[50:, :100], result[50:, 100:]):
        assert 0.2 < (corner[..., 0] > 128).mean() < 0.8


def test_montage_puts_images_side_by_side() -> None:
    files = {2: plain((0, 255, 0)), 3: plain((0, 0, 255))}
    params = {
        "others": [2, 3],
        "columns": 2,
        "width": 30,
        "height": 20,
        "fit": "cover",
        "gap": 4,
        "background": "#808080",
    }

    result = pixels(processed(plain((255, 0, 0)), "montage", params, files))

    assert result.shape == (2 * 24 + 4, 2 * 34 + 4, 3)
    assert result[14, 19].tolist() == [255, 0, 0]
    assert result[14, 53].tolist() == [0, 255, 0]
    assert result[38, 19].tolist() == [0, 0, 255]
    assert result[38, 53].tolist() == [128, 128, 128]
    assert result[1, 1].tolist() == [128, 128, 128]


@pytest.mark.parametrize("format", ["gif", "webp"])
def test_animate_shows_each_image_in_turn(format: str) -> None:
    files = {2: plain((0, 255, 0), (30, 90)), 3: plain((0, 0, 255))}
    params = {"others": [2, 3], "delay": 300, "loop": 0, "output": {"format": format}}

    result = Image.open(io.BytesIO(processed(plain((255, 0, 0)), "animate", params, files)))

    frames = [numpy.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(result)]
    assert [frame[24, 32].argmax() for frame in frames] == [0, 1, 2]
    assert frames[1][24, 2].min() > 250, "beside the narrow image lies the background"
    result.seek(1)
    result.load()
    assert result.info["duration"] == 300


def test_an_animation_of_photographs_is_a_webp() -> None:
    result = opened(processed(photo(format="JPEG"), "animate", {"others": [2]}, {2: photo(30, 40)}))

    assert (result.format, getattr(result, "n_frames", 1)) == ("WEBP", 2)


def test_a_mark_that_is_no_image_is_named() -> None:
    with pytest.raises(ImageError, match="File 9: The file is not an image"):
        processed(photo(), "watermark", {"mark": {"file_id": 9}}, {9: b"hello"})
