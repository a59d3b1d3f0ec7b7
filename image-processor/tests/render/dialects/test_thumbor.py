"""thumbor's URLs, compared with its documentation and with Pillow's result for the same pixels."""

import numpy
import pytest
from image_processor.render.dialects.thumbor import plan as thumbor_plan
from image_processor.render.dialects.thumbor import url as thumbor_url
from image_processor.render.dialects.thumbor.url import CornerTrim
from image_processor.render.plans.plan import FileSource, OriginSource
from libthumbor import CryptoURL
from PIL import Image
from service_kit.errors import DomainError

from tests.support.images import encoded, opened, photo, pixels
from tests.support.plan_runs import rendered


def made(path: str, content: bytes | None = None, files: dict[int, bytes] | None = None) -> bytes:
    plan = thumbor_plan.plan_of(thumbor_url.parse(f"/unsafe/{path}".encode()))
    return rendered(plan, content or photo(64, 48), files)


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("42", (64, 48)),
        ("32x24/42", (32, 24)),
        ("32x32/42", (32, 32)),
        ("32x/42", (32, 24)),
        ("x24/42", (32, 24)),
        ("128x96/42", (128, 96)),
        ("origx24/42", (64, 24)),
        ("fit-in/32x32/42", (32, 24)),
        ("fit-in/128x128/42", (64, 48)),
        ("full-fit-in/24x24/42", (32, 24)),
        ("adaptive-fit-in/24x32/42", (32, 24)),
        ("10x10:30x20/42", (20, 10)),
        ("128x96/filters:no_upscale()/42", (64, 48)),
        ("fit-in/128x128/filters:upscale()/42", (128, 96)),
        ("fit-in/100x100/filters:fill(red)/42", (100, 100)),
        ("filters:proportion(0.5)/42", (32, 24)),
        ("32x40/filters:stretch()/42", (32, 40)),
        ("filters:rotate(90)/42", (48, 64)),
    ],
)
def test_a_size(path: str, size: tuple[int, int]) -> None:
    assert opened(made(path)).size == size


def test_a_negative_width_mirrors() -> None:
    result = pixels(made("-0x0/42"))

    assert (result == pixels(photo(64, 48))[:, ::-1]).all()


def test_rotation_is_anticlockwise() -> None:
    result = pixels(made("filters:rotate(90)/42"))

    assert (result == numpy.rot90(pixels(photo(64, 48)))).all()


def test_an_alignment_chooses_what_is_cut() -> None:
    left, right = (pixels(made(f"24x48/{side}/42")) for side in ("left", "right"))

    assert (left == pixels(photo(64, 48))[:, :24]).all()
    assert (right == pixels(photo(64, 48))[:, -24:]).all()


def test_a_focal_point_stays_in_the_middle() -> None:
    result = pixels(made("24x48/filters:focal(10x0:30x48)/42"))

    assert (result == pixels(photo(64, 48))[:, 8:32]).all()


def test_focal_areas_that_cancel_each_other_leave_the_middle() -> None:
    result = pixels(made("24x48/filters:focal(10x0:30x48):focal(30x0:10x48)/42"))

    assert (result == pixels(photo(64, 48))[:, 20:44]).all()


def test_rgb_adds_percent_of_white_to_each_band() -> None:
    source = pixels(photo(64, 48))

    result = pixels(made("filters:rgb(20,-20,0)/42"))

    expected = numpy.clip(source + numpy.array([51, -51, 0]), 0, 255)
    assert numpy.abs(result - expected).max() <= 1


def test_contrast_has_thumbor_s_formula() -> None:
    source = pixels(photo(64, 48))

    result = pixels(made("filters:contrast(50)/42"))

    expected = numpy.clip((source - 127.5) * 1.5**2 + 127.5, 0, 255)
    assert numpy.abs(result - expected).max() <= 1


def test_saturation_has_thumbor_s_gray() -> None:
    """thumbor, ext/filters/_saturation.c."""
    source = pixels(photo(64, 48)).astype(float)

    result = pixels(made("filters:saturation(0.5)/42"))

    gray = numpy.sqrt(source**2 @ [0.299, 0.587, 0.114])[..., None]
    assert numpy.abs(result - (gray + (source - gray) * 0.5)).max() <= 1


def test_equalize_spreads_each_band() -> None:
    """thumbor, ext/filters/_equalize.c."""
    content = encoded(
        Image.fromarray(numpy.array([[[10, 60, 20], [20, 50, 20], [30, 40, 20], [40, 30, 20]]], "uint8")), "PNG"
    )

    result = pixels(made("filters:equalize()/42", content))

    assert result.tolist() == [[[0, 255, 255], [85, 191, 255], [170, 127, 255], [255, 63, 255]]]


def test_repeated_marks_are_whole_and_have_room_between_them() -> None:
    """thumbor, filters/watermark.py: 64 pixels hold four marks of 15, with one pixel between them."""
    mark = encoded(Image.new("RGB", (15, 6), (255, 0, 0)), "PNG")

    result = pixels(made("filters:watermark(7,repeat,0,0)/42", files={7: mark}))

    red = (result[0, :, :3] == (255, 0, 0)).all(axis=1)
    assert red.tolist() == ([True] * 15 + [False]) * 4


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("trim/20x10:50x40/42", (20, 15)),
        ("trim/0x0:1x1/42", (30, 20)),
        ("trim/80x30/filters:no_upscale()/42", (60, 30)),
        ("0x0:30x20/80x30/filters:no_upscale()/42", (60, 30)),
        ("fit-in/50x50/filters:rotate(90):fill(red)/42", (50, 50)),
        ("fit-in/60x20/filters:rotate(90):fill(red)/42", (60, 20)),
        ("full-fit-in/30x30/filters:fill(red)/42", (45, 30)),
        ("adaptive-fit-in/20x60/filters:fill(red)/42", (60, 20)),
        ("adaptive-fit-in/60x130/filters:upscale()/42", (90, 60)),
    ],
)
def test_a_size_that_thumbor_itself_gave(path: str, size: tuple[int, int]) -> None:
    """thumbor 7.8.0 was asked for a picture of 60 × 40 whose content is 30 × 20."""
    image = Image.new("RGB", (60, 40), "white")
    image.paste("black", (10, 5, 40, 25))

    assert opened(made(path, encoded(image, "PNG"))).size == size


def test_a_watermark_lies_pixels_from_a_corner() -> None:
    mark = encoded(Image.new("RGB", (10, 6), (255, 0, 0)), "PNG")

    result = pixels(made("filters:watermark(7,-4,5,0)/42", files={7: mark}))

    expected = pixels(photo(64, 48)).copy()
    expected[5:11, 50:60] = (255, 0, 0)
    assert (result[..., :3] == expected).all()


def test_a_watermark_is_repeated_along_one_side() -> None:
    mark = encoded(Image.new("RGB", (16, 6), (255, 0, 0)), "PNG")

    result = pixels(made("filters:watermark(7,repeat,0,0,none,none)/42", files={7: mark}))

    assert (result[:6, :, :3] == (255, 0, 0)).all()
    assert (result[6:, :, :3] == pixels(photo(64, 48))[6:]).all()


def test_images_stay_as_they_are_stored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = photo(64, 48, format="JPEG", exif=exif.tobytes())

    assert opened(made("42", sideways)).size == (64, 48)


@pytest.mark.parametrize("name", ["extract_focal(a)", "frame(42)", "red_eye()", "format(heic)"])
def test_what_cannot_be_done_is_refused_by_name(name: str) -> None:
    with pytest.raises(DomainError, match=name.partition("(")[0]) as caught:
        thumbor_plan.plan_of(thumbor_url.parse(f"/unsafe/filters:{name}/42".encode()))

    assert caught.value.kind == "unsupported-render-option"
    assert caught.value.errors[0]["pointer"] == name.partition("(")[0]


@pytest.mark.parametrize(
    "name",
    [
        "nothing()",
        "blur(x)",
        "fill()",
        "watermark(7)",
        "convolution(1;2,2)",
        # thumbor, tests/filters/test_base_filter.py: numbers have no letters and no fraction, booleans are true or 1.
        "brightness(20.5)",
        "brightness(1e1)",
        "blur(nan)",
        "blur(0)",
        "quality(-1)",
        "rgb(1,2,3,4)",
        "grayscale(1)",
        "sharpen(2,1)",
        "fill(red,TRUE)",
        "watermark(7,left,top,0)",
    ],
)
def test_an_unknown_or_wrong_filter_is_skipped_and_listed(name: str) -> None:
    plan = thumbor_plan.plan_of(thumbor_url.parse(f"/unsafe/filters:{name}:grayscale()/42".encode()))

    assert plan.ignored == (name.partition("(")[0],)
    assert plan.steps[-1].name == "grayscale"


@pytest.mark.parametrize(
    "name",
    [
        f"format({' ' * 10_000},)",
        f"colorize(1,2,3,{' ' * 10_000}x{' ' * 5000},)",
        f"watermark({' ' * 10_000})",
        f"blur({'1' * 15_000}x)",
        f"proportion({'1' * 15_000}x)",
    ],
)
def test_a_long_argument_is_read_in_linear_time(name: str) -> None:
    plan = thumbor_plan.plan_of(thumbor_url.parse(f"/unsafe/filters:{name}/42".encode()))

    assert plan.ignored == (name.partition("(")[0],)


@pytest.mark.parametrize("name", [f"focal({'9' * 5000}x1:2x2)", f"blur(5,0.{'0' * 200}1)", f"max_age({'9' * 300})"])
def test_a_number_may_have_any_number_of_digits(name: str) -> None:
    assert thumbor_plan.plan_of(thumbor_url.parse(f"/unsafe/filters:{name}/42".encode())).ignored == ()


@pytest.mark.parametrize(
    ("image", "source"),
    [
        ("42", FileSource(42)),
        ("42.jpg", FileSource(42)),
        ("42/any-name.jpg", FileSource(42)),
        ("https%3A%2F%2Fexample.org%2Fa%20b.jpg", OriginSource("https://example.org/a b.jpg")),
        ("http://example.org/a.jpg?v=1", OriginSource("http://example.org/a.jpg?v=1")),
        # thumbor's documentation, "Usage": the image is named without its scheme, for which thumbor sets http.
        (
            "300x200/smart/raw.githubusercontent.com/thumbor/thumbor/master/example.jpg",
            OriginSource("http://raw.githubusercontent.com/thumbor/thumbor/master/example.jpg"),
        ),
        ("example.org:8080/a%20b.jpg?v=1", OriginSource("http://example.org:8080/a b.jpg?v=1")),
    ],
)
def test_a_source(image: str, source: object) -> None:
    assert thumbor_plan.plan_of(thumbor_url.parse(f"/unsafe/{image}".encode())).source == source


def test_a_watermark_may_lack_its_scheme() -> None:
    plan = thumbor_plan.plan_of(thumbor_url.parse(b"/unsafe/filters:watermark(example.org/mark.png,0,0,0)/42"))

    assert [source for _, source in plan.files] == [OriginSource("http://example.org/mark.png")]


@pytest.mark.parametrize(
    "image",
    [
        "photo.jpg",
        "../etc/passwd",
        "file:///etc/passwd",
        "0",
        "9223372036854775808",
        "ftp://example.org/a",
        "a b.org/c",
    ],
)
def test_what_is_not_a_source_is_refused(image: str) -> None:
    with pytest.raises(DomainError, match="neither the id of a file nor"):
        thumbor_plan.plan_of(thumbor_url.parse(f"/unsafe/{image}".encode()))


def test_what_libthumbor_writes_is_read() -> None:
    url = CryptoURL(key="k" * 16).generate(
        image_url="42",
        width=300,
        height=200,
        crop=((10, 20), (100, 120)),
        fit_in=True,
        halign="left",
        valign="top",
        smart=True,
        trim=("bottom-right", 5),
        flip=True,
        filters=["blur(3)", "quality(40)"],
    )

    read = thumbor_url.parse(url.encode())

    assert (read.width, read.height, read.crop, read.fit_in) == (300, 200, (10, 20, 100, 120), "fit-in")
    assert (read.halign, read.valign, read.smart, read.flip_horizontal) == ("left", "top", True, True)
    assert read.trim == CornerTrim("bottom-right", 5)
    assert [each.name for each in read.filters] == ["blur", "quality"]
    assert read.image == "42"


def test_every_filter_has_a_state_and_every_state_that_is_yes_is_done() -> None:
    for name, state in thumbor_plan.FILTERS.items():
        if state.done == "no":
            continue
        plan = thumbor_plan.plan_of(
            thumbor_url.parse(f"/unsafe/10x10/filters:{name}({ARGUMENTS.get(name, '')})/42".encode())
        )
        assert (name in plan.ignored) == (name in thumbor_plan.WITHOUT_EFFECT), name


def test_a_sharpening_of_the_luminance_alone_is_listed_as_ignored() -> None:
    plans = [
        thumbor_plan.plan_of(thumbor_url.parse(f"/unsafe/filters:sharpen(2,1,{alone})/42".encode()))
        for alone in ("true", "false")
    ]

    assert [plan.ignored for plan in plans] == [("sharpen.luminance_only",), ()]


ARGUMENTS = {
    "background_color": "red",
    "blur": "3",
    "brightness": "10",
    "colorize": "10,20,30,ff0000",
    "contrast": "10",
    "convolution": "1;2;1;2;4;2;1;2;1,3,true",
    "curve": "[(0,0),(255,200)],[(0,0),(255,255)],[(0,0),(255,255)],[(0,0),(255,255)]",
    "fill": "red",
    "focal": "1x2:3x4",
    "format": "webp",
    "max_age": "60",
    "max_bytes": "1000",
    "noise": "10",
    "proportion": "0.5",
    "quality": "50",
    "rgb": "1,2,3",
    "rotate": "90",
    "round_corner": "10,0,0,0",
    "saturation": "0.5",
    "sharpen": "1,1,true",
    "watermark": "7,0,0,50",
}


def test_a_mark_of_one_pixel_is_repeated_hundreds_of_times() -> None:
    mark = encoded(Image.new("RGBA", (1, 1), (255, 0, 0, 255)), "PNG")
    white = encoded(Image.new("RGB", (500, 3), "white"), "PNG")

    result = pixels(made("filters:watermark(7,repeat,1,0)/42", white, {7: mark}))

    assert (result[1] == (255, 0, 0)).all()
    assert (result[::2] == 255).all()


def test_what_a_transparent_fill_adds_to_a_jpeg_is_black() -> None:
    """thumbor, engines/pil.py: gen_image and read."""
    result = pixels(made("fit-in/64x64/filters:fill(transparent):format(jpeg)/42", photo(64, 32)))

    assert result.shape == (64, 64, 3)
    assert result[:8].max() <= 8
    assert result[-8:].max() <= 8
