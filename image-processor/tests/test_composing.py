"""Algorithms that combine images, compared with Pillow and NumPy."""

import io
from collections.abc import Callable

import numpy
import pytest
from image_processor.services.codec.decoding import ImageError
from PIL import Image, ImageSequence

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, photo, pixels

pytestmark = pytest.mark.slow


def plain(color: tuple[int, ...], size: tuple[int, int] = (64, 48)) -> bytes:
    return encoded(Image.new("RGBA" if len(color) == 4 else "RGB", size, color), "PNG")


Channel = numpy.ndarray


def _dodge(base: Channel, over: Channel) -> Channel:
    with numpy.errstate(divide="ignore", invalid="ignore"):
        made: Channel = numpy.where(base == 0, 0, numpy.where(over == 1, 1, numpy.minimum(1, base / (1 - over))))
    return made


def _burn(base: Channel, over: Channel) -> Channel:
    with numpy.errstate(divide="ignore", invalid="ignore"):
        made: Channel = numpy.where(base == 1, 1, numpy.where(over == 0, 0, 1 - numpy.minimum(1, (1 - base) / over)))
    return made


def _soft_light(base: Channel, over: Channel) -> Channel:
    steep = numpy.where(base <= 0.25, ((16 * base - 12) * base + 4) * base, numpy.sqrt(base))
    made: Channel = numpy.where(
        over <= 0.5, base - (1 - 2 * over) * base * (1 - base), base + (2 * over - 1) * (steep - base)
    )
    return made


def _hard_light(base: Channel, over: Channel) -> Channel:
    made: Channel = numpy.where(over <= 0.5, 2 * base * over, base + (2 * over - 1) * (1 - base))
    return made


# B(Cb, Cs) of W3C's Compositing and Blending 1, 9.1.
BLENDS: dict[str, Callable[[Channel, Channel], Channel]] = {
    "normal": lambda base, over: over,
    "multiply": lambda base, over: base * over,
    "screen": lambda base, over: base + over - base * over,
    "darken": numpy.minimum,
    "lighten": numpy.maximum,
    "difference": lambda base, over: numpy.abs(base - over),
    "exclusion": lambda base, over: base + over - 2 * base * over,
    "overlay": lambda base, over: _hard_light(over, base),
    "hard-light": _hard_light,
    "soft-light": _soft_light,
    "color-dodge": _dodge,
    "color-burn": _burn,
}


def composed(base: numpy.ndarray, over: numpy.ndarray, blend: str) -> numpy.ndarray:
    """Apply the W3C formulas to RGBA from 0 to 1: colors weighted by their alpha, and alpha (9.1.4 and 9.2)."""
    below, above = base[..., 3:], over[..., 3:]
    if blend == "add":
        weighted = numpy.minimum(1, base[..., :3] * below + over[..., :3] * above)
        return numpy.dstack([weighted, numpy.minimum(1, below + above)])
    mixed = (1 - below) * over[..., :3] + below * BLENDS[blend](base[..., :3], over[..., :3])
    weighted = above * mixed + (1 - above) * below * base[..., :3]
    return numpy.dstack([weighted, above + below * (1 - above)])


def many_colors(seed: int, opaque: bool) -> numpy.ndarray:
    values = numpy.random.default_rng(seed).integers(0, 256, (48, 64, 4)).astype("uint8")
    values[:4, :, :3], values[4:8, :, :3] = 0, 255
    values[:, :8, 3] = 0
    values[:, 8:16, 3] = 255
    if opaque:
        values[..., 3] = 255
    return values


@pytest.mark.parametrize("opaque", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("blend", [*BLENDS, "add"])
def test_blend_modes_follow_the_w3c_with_any_alpha(blend: str, opaque: tuple[bool, bool]) -> None:
    base, over = many_colors(1, opaque[0]), many_colors(2, opaque[1])
    files = {4: encoded(Image.fromarray(over), "PNG")}

    result = pixels(processed(encoded(Image.fromarray(base), "PNG"), "overlay", {"file_id": 4, "blend": blend}, files))

    result = result / 255
    weighted = numpy.dstack([result[..., :3] * result[..., 3:], result[..., 3:]])
    assert numpy.abs(weighted - composed(base / 255, over / 255, blend)).max() <= 2 / 255


def test_white_multiplied_at_half_opacity_changes_nothing() -> None:
    params = {"file_id": 4, "blend": "multiply", "opacity": 50}

    result = pixels(processed(plain((180, 212, 65)), "overlay", params, {4: plain((255, 255, 255))}))

    assert (result == (180, 212, 65)).all()


@pytest.mark.parametrize("blend", ["mask", "mask-out"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_mask_makes_any_source_transparent(mode: str, blend: str) -> None:
    mask = numpy.dstack([numpy.zeros((48, 64, 3)), numpy.tile(numpy.arange(64) * 4, (48, 1))]).astype("uint8")
    files = {4: encoded(Image.fromarray(mask), "PNG")}

    result = opened(processed(photo(mode=mode), "overlay", {"file_id": 4, "blend": blend}, files)).convert("RGBA")

    alpha = mask[..., 3] if blend == "mask" else 255 - mask[..., 3]
    assert (numpy.asarray(result)[..., 3] == alpha).all()
    seen = alpha > 0
    assert (numpy.asarray(result)[seen][:, :3] == numpy.asarray(opened(photo(mode=mode)).convert("RGB"))[seen]).all()


def test_a_mask_smaller_than_the_source_hides_all_around_it() -> None:
    result = pixels(processed(photo(), "overlay", {"file_id": 4, "blend": "mask"}, {4: plain((0, 0, 0), (10, 10))}))

    assert (result[..., 3] == 255).sum() == 100


def test_an_animation_has_its_background_under_transparent_parts() -> None:
    clear = plain((255, 0, 0, 0))
    params = {"others": [2], "background": "#00ff00", "output": {"format": "webp", "lossless": True}}

    result = opened(processed(clear, "animate", params, {2: clear}))

    assert numpy.asarray(result.convert("RGBA"))[0, 0].tolist() == [0, 255, 0, 255]


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


@pytest.mark.parametrize("blend", ["normal", "multiply"])
def test_an_overlay_outside_of_the_image_changes_nothing(blend: str) -> None:
    params = {"file_id": 4, "x": 500, "blend": blend}

    assert (pixels(processed(photo(), "overlay", params, {4: plain((255, 0, 0))})) == pixels(photo())).all()


def test_opacity_matches_pillow_blend() -> None:
    result = processed(photo(), "overlay", {"file_id": 4, "opacity": 40}, {4: plain((200, 90, 30))})

    expected = numpy.asarray(Image.blend(opened(photo()), opened(plain((200, 90, 30))), 0.4)).astype(int)
    assert numpy.abs(pixels(result) - expected).max() <= 2


def test_an_overlay_of_sixteen_bits_looks_like_an_overlay_of_eight() -> None:
    deep = numpy.full((48, 64), 40_000, dtype="uint16")

    result = pixels(processed(photo(), "overlay", {"file_id": 4}, {4: encoded(Image.fromarray(deep), "PNG")}))

    assert numpy.abs(result - 40_000 / 257).max() <= 1


def test_a_text_is_written_in_cyrillic() -> None:
    params = {
        "mark": {"text": "Привет, мир", "color": "red", "outline": "none"},
        "scale": 80,
        "opacity": 100,
        "gravity": "center",
    }

    result = pixels(processed(plain((0, 0, 0), (400, 200)), "watermark", params))

    xs = numpy.nonzero(result[..., 0] > 128)[1]
    assert abs((xs.max() - xs.min()) - 320) < 12, "80 percent of the width"
    assert abs((xs.max() + xs.min()) / 2 - 200) < 8
    assert (result[..., 1] == 0).all()


@pytest.mark.slow
def test_a_large_text_has_sharp_edges() -> None:
    params = {"mark": {"text": "H"}, "scale": 90, "opacity": 100, "gravity": "center"}

    result = pixels(processed(plain((0, 0, 0), (1600, 1600)), "watermark", params))

    row = result[500, :, 0]
    assert (row > 250).any()
    assert ((row > 8) & (row < 247)).sum() <= 8, "two pixels on each side of each stem"


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(ImageError, match="no visible character"):
        processed(photo(), "watermark", {"mark": {"text": "   "}})


def test_markup_is_drawn_literally() -> None:
    assert opened(processed(photo(), "watermark", {"mark": {"text": "<b>&amp;</i>"}})).size == (64, 48)


def test_an_image_mark_keeps_its_transparency() -> None:
    mark = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    mark.paste((0, 255, 0, 255), (10, 10, 30, 30))
    params = {"mark": {"file_id": 9}, "scale": 50, "opacity": 100, "gravity": "northwest", "margin": 0}

    result = pixels(processed(plain((0, 0, 0), (80, 80)), "watermark", params, {9: encoded(mark, "PNG")}))

    assert result[20, 20].tolist() == [0, 255, 0]
    assert result[2, 2].tolist() == [0, 0, 0]


def test_a_tiled_mark_covers_the_image() -> None:
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
    assert frames[1][24, 2].min() > 250, "next to the narrow image is the background"
    result.seek(1)
    result.load()
    assert result.info["duration"] == 300


def test_an_animation_of_photographs_is_a_webp() -> None:
    result = opened(processed(photo(format="JPEG"), "animate", {"others": [2]}, {2: photo(30, 40)}))

    assert (result.format, getattr(result, "n_frames", 1)) == ("WEBP", 2)


def test_a_mark_that_is_not_an_image_is_named() -> None:
    with pytest.raises(ImageError, match="File 9: The file is not an image"):
        processed(photo(), "watermark", {"mark": {"file_id": 9}}, {9: b"hello"})
