"""Colors laid over an image, blurred areas, and stamps, compared with NumPy."""

import numpy
import pytest
from PIL import Image

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, photo, pixels

SOURCE = photo(64, 48)
BEFORE = pixels(SOURCE)
LUMA = BEFORE @ numpy.array([0.299, 0.587, 0.114])


def made(
    algorithm: str, files: dict[int, bytes] | None = None, content: bytes = SOURCE, **params: object
) -> numpy.ndarray:
    result: numpy.ndarray = pixels(processed(content, algorithm, params, files))[..., :3]
    return result


def near(result: numpy.ndarray, expected: numpy.ndarray) -> bool:
    return bool(numpy.abs(result - numpy.clip(expected, 0, 255)).max() <= 1)


def test_colorize_mixes_a_share_of_a_color() -> None:
    result = made("colorize", color="#ff8000", amount=40)

    assert near(result, BEFORE * 0.6 + numpy.array([255, 128, 0]) * 0.4)


def test_colorize_has_a_share_for_each_band() -> None:
    result = made("colorize", color="#ff8000", amount=0, red=100, green=50)

    assert near(result, BEFORE * [0, 0.5, 1] + numpy.array([255, 64, 0]))


def test_channels_adds_to_each_band() -> None:
    result = made("channels", red=20, blue=-40)

    assert near(result, BEFORE + numpy.array([51, 0, -102]))


def test_monochrome_is_the_luma_times_the_color() -> None:
    result = made("monochrome", color="#ff8000")

    assert near(result, LUMA[..., None] * numpy.array([255, 128, 0]) / 255)


def test_monochrome_may_keep_a_share_of_the_colors() -> None:
    result = made("monochrome", color="#ffffff", amount=25)

    assert near(result, BEFORE * 0.75 + LUMA[..., None] * 0.25)


@pytest.mark.parametrize(
    ("direction", "along"),
    [
        (0, (numpy.arange(48)[:, None] + 0.5) / 48),
        (180, 1 - (numpy.arange(48)[:, None] + 0.5) / 48),
        (90, 1 - (numpy.arange(64)[None, :] + 0.5) / 64),
        (270, (numpy.arange(64)[None, :] + 0.5) / 64),
    ],
)
def test_a_gradient_grows_in_its_direction(direction: int, along: numpy.ndarray) -> None:
    result = made("gradient", color="#ff0000", direction=direction, amount=50, start=25, stop=75)

    share = (numpy.clip((along - 0.25) / 0.5, 0, 1) * 0.5 * numpy.ones((48, 64)))[..., None]
    assert numpy.abs(result - (BEFORE * (1 - share) + numpy.array([255, 0, 0]) * share)).max() <= 2


def test_a_progressive_blur_mixes_with_the_blurred_image() -> None:
    blurred = made("blur", radius=5)

    result = made("progressive_blur", radius=5)

    share = ((numpy.arange(48)[:, None] + 0.5) / 48 * numpy.ones((48, 64)))[..., None]
    assert numpy.abs(result - (BEFORE * (1 - share) + blurred * share)).max() <= 2


def test_areas_are_blurred_without_what_is_around_them() -> None:
    inside = encoded(opened(SOURCE).crop((16, 12, 32, 36)), "PNG")

    result = made("blur_areas", radius=3, areas=[{"left": 0.25, "top": 0.25, "width": 0.25, "height": 0.5}])

    assert (result[12:36, 16:32] == made("blur", content=inside, radius=3)).all()
    result[12:36, 16:32] = BEFORE[12:36, 16:32]
    assert (result == BEFORE).all()


def test_an_area_beyond_the_image_is_cut() -> None:
    areas = [{"left": 0.9, "top": 0.9, "width": 1, "height": 1}, {"left": 1, "top": 0, "width": 1, "height": 1}]

    result = made("blur_areas", areas=areas)

    assert (result[:43, :57] == BEFORE[:43, :57]).all()


def test_flatten_puts_a_color_behind() -> None:
    half = encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 128)), "PNG")

    result = made("flatten", content=half, background="#0000ff")

    assert numpy.abs(result - numpy.array([128, 0, 127])).max() <= 1


def test_flatten_with_a_transparent_color_keeps_alpha() -> None:
    clear = encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG")

    result = pixels(processed(clear, "flatten", {"background": "#0000ff80"}))

    assert (result == (0, 0, 255, 128)).all()


@pytest.mark.parametrize(
    ("gravity", "x", "y", "left", "top"),
    [
        ("northwest", 3, 4, 3, 4),
        ("southeast", 3, 4, 64 - 10 - 3, 48 - 6 - 4),
        ("center", 2, 0, 27 + 2, 21),
        ("northwest", -5, 0, -5, 0),
    ],
)
def test_a_stamp_lies_at_a_place(gravity: str, x: int, y: int, left: int, top: int) -> None:
    mark = encoded(Image.new("RGB", (10, 6), (255, 0, 0)), "PNG")

    result = made("stamp", {2: mark}, file_id=2, gravity=gravity, x=x, y=y)

    expected = opened(SOURCE)
    expected.paste((255, 0, 0), (left, top, left + 10, top + 6))
    assert (result == numpy.asarray(expected)).all()


@pytest.mark.parametrize(
    ("repeat", "rows", "columns"),
    [("x", 1, 64 // 20 + 1), ("y", 48 // 16 + 1, 1), ("both", 48 // 16 + 1, 64 // 20 + 1)],
)
def test_a_stamp_is_repeated_with_gaps(repeat: str, rows: int, columns: int) -> None:
    mark = encoded(Image.new("RGB", (10, 6), (255, 0, 0)), "PNG")

    result = made("stamp", {2: mark}, file_id=2, gravity="northwest", repeat=repeat, gap_x=10, gap_y=10)

    expected = opened(SOURCE)
    for row in range(rows):
        for column in range(columns):
            left, top = 20 * column, 16 * row
            expected.paste((255, 0, 0), (left, top, left + 10, top + 6))
    assert (result == numpy.asarray(expected)).all()


def test_a_stamp_has_a_share_of_the_size_and_an_opacity() -> None:
    mark = encoded(Image.new("RGB", (10, 10), (255, 0, 0)), "PNG")

    result = made("stamp", {2: mark}, file_id=2, gravity="northwest", width=50, height=50, opacity=50)

    expected = BEFORE.astype(float)
    expected[:24, :24] = expected[:24, :24] / 2 + numpy.array([127.5, 0, 0])
    assert near(result, expected)


def test_elliptical_corners_are_those_of_two_circles_stretched() -> None:
    white = encoded(Image.new("RGB", (200, 100), "white"), "PNG")

    alpha = pixels(processed(white, "round_corners", {"radius": 80, "radius_y": 40}))[..., 3]

    y, x = numpy.mgrid[0:100, 0:200] + 0.5
    outside = (
        numpy.maximum(numpy.abs(x - 100) - 20, 0) ** 2 / 80**2 + numpy.maximum(numpy.abs(y - 50) - 10, 0) ** 2 / 40**2
    )
    assert (alpha[outside < 0.95] == 255).all()
    assert (alpha[outside > 1.05] == 0).all()


@pytest.mark.parametrize(
    ("equal", "box"),
    [
        ("none", (10, 5, 40, 25)),
        ("horizontal", (10, 5, 50, 25)),
        ("vertical", (10, 5, 40, 35)),
        ("both", (10, 5, 50, 35)),
    ],
)
def test_a_trim_may_cut_equal_margins(equal: str, box: tuple[int, int, int, int]) -> None:
    image = Image.new("RGB", (60, 40), "white")
    image.paste((255, 0, 0), (10, 5, 40, 25))

    result = made("trim", content=encoded(image, "PNG"), equal=equal)

    assert (result == numpy.asarray(image.crop(box))).all()


def test_a_trim_may_take_the_color_of_the_lower_right_corner() -> None:
    image = Image.new("RGB", (60, 40), "white")
    image.paste((255, 0, 0), (0, 0, 40, 25))

    result = made("trim", content=encoded(image, "PNG"), corner="southeast")

    assert result.shape[:2] == (25, 40)


def test_a_canvas_may_have_the_average_color() -> None:
    result = made("extend", width=100, height=48, mode="average")

    assert numpy.abs(result[0, 0] - BEFORE.mean(axis=(0, 1))).max() <= 1
    assert (result[:, 18:82] == BEFORE).all()


def test_the_orientation_may_be_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = photo(64, 48, format="JPEG", exif=exif.tobytes())

    stored = opened(processed(sideways, "convert", {"metadata": "keep", "source": {"upright": False}}))

    assert stored.size == (64, 48)
    assert 0x0112 not in stored.getexif() or stored.getexif()[0x0112] == 1


def test_the_first_frames_of_an_animation_may_be_read() -> None:
    frames = [opened(photo(40, 30)).rotate(90 * turn) for turn in range(3)]
    animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)

    two = opened(processed(animation, "flip", {"source": {"frames": 2}}))
    still = opened(processed(animation, "flip", {"source": {"frames": 1}}))

    assert getattr(two, "n_frames", 1) == 2
    assert getattr(still, "n_frames", 1) == 1
