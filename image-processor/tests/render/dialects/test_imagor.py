"""imagor's URLs: what differs from thumbor's."""

import pytest
from image_processor.render.dialects import imagor
from image_processor.render.plan import ColorSource
from PIL import Image
from service_kit.errors import DomainError

from tests.support.images import encoded, opened, photo, pixels
from tests.support.renders import rendered


def made(path: str, files: dict[int, bytes] | None = None) -> bytes:
    return rendered(imagor.plan_of(imagor.parse(f"/unsafe/{path}".encode())), photo(64, 48), files)


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("42", (64, 48)),
        ("32x32/42", (32, 32)),
        ("fit-in/32x32/42", (32, 24)),
        ("fit-in/128x128/42", (64, 48)),
        ("fit-in/128x128/filters:upscale()/42", (128, 96)),
        ("128x96/42", (128, 96)),
        ("128x96/filters:no_upscale()/42", (64, 48)),
        ("stretch/32x40/42", (32, 40)),
        ("0x0:0.5x0.5/42", (32, 24)),
        ("10x10:30x20/42", (20, 10)),
        ("filters:crop(0.25,0.25,0.5,0.5)/42", (32, 24)),
        ("fit-in/100x100/10x5/filters:fill(red)/42", (100, 100)),
        ("32x24/10x5:20x15/filters:fill(red)/42", (62, 44)),
        ("filters:padding(red,1,2,3,4)/42", (68, 54)),
        ("filters:orient(90)/42", (48, 64)),
        ("filters:rotate(90)/42", (48, 64)),
        ("filters:rotate(-90)/42", (64, 48)),
        ("filters:proportion(50)/42", (32, 24)),
    ],
)
def test_a_size(path: str, size: tuple[int, int]) -> None:
    assert opened(made(path)).size == size


def test_an_image_is_put_on_another_with_a_size_of_its_own() -> None:
    over = encoded(Image.new("RGB", (100, 100), (255, 0, 0)), "PNG")

    result = pixels(made("filters:image(/10x6/7,-4,5)/42", {7: over}))

    expected = pixels(photo(64, 48)).copy()
    expected[5:11, 50:60] = (255, 0, 0)
    assert (result[..., :3] == expected).all()


def test_a_color_is_a_source() -> None:
    assert imagor.plan_of(imagor.parse(b"/unsafe/10x10/color:red")).source == ColorSource("#ff0000")


def test_a_url_expires() -> None:
    url = imagor.parse(b"/unsafe/filters:expire(1000000)/42")

    assert imagor.plan_of(url, now=999).wishes.expires == 1000
    with pytest.raises(DomainError) as caught:
        imagor.plan_of(url, now=1000)
    assert caught.value.kind == "expired-render-url"


def test_a_download_has_a_name() -> None:
    wishes = imagor.plan_of(imagor.parse(b"/unsafe/filters:attachment(my%20cat.jpg):max_age(60)/42")).wishes

    assert (wishes.attachment, wishes.file_name, wishes.max_age) == (True, "my cat.jpg", 60)


@pytest.mark.parametrize(
    "name",
    [
        "label(a)",
        "text(a)",
        "draw_detections()",
        "redact_oval()",
        "bitdepth(1)",
        "format(jxl)",
        "image(/filters:blur(2)/7,0,0)",
    ],
)
def test_what_cannot_be_done_is_refused_by_name(name: str) -> None:
    with pytest.raises(DomainError) as caught:
        imagor.plan_of(imagor.parse(f"/unsafe/filters:{name}/42".encode()))

    assert caught.value.kind == "unsupported-render-option"
    assert caught.value.errors[0]["pointer"] == name.partition("(")[0]


def test_every_filter_has_a_state_and_every_state_that_is_yes_is_done() -> None:
    for name, state in imagor.FILTERS.items():
        if state.done == "no":
            continue
        plan = imagor.plan_of(
            imagor.parse(f"/unsafe/10x10/filters:{name}({ARGUMENTS.get(name, '')})/42".encode()), now=0
        )
        assert name not in plan.ignored, name


ARGUMENTS = {
    "background_color": "red",
    "blur": "3",
    "brightness": "10",
    "compression": "5",
    "contrast": "10",
    "crop": "0,0,10,10",
    "dpi": "100",
    "expire": "1000",
    "fill": "red",
    "focal": "0.1x0.2:0.3x0.4",
    "format": "webp",
    "hue": "10",
    "image": "/7,0,0",
    "max_age": "60",
    "max_bytes": "1000",
    "max_frames": "1",
    "modulate": "1,2,3",
    "orient": "90",
    "padding": "red,1",
    "page": "1",
    "proportion": "0.5",
    "quality": "50",
    "rgb": "1,2,3",
    "rotate": "90",
    "round_corner": "10",
    "saturation": "50",
    "sharpen": "1",
    "watermark": "7,0,0,50",
}
