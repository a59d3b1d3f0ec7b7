"""imagor's URLs, where they differ from thumbor's."""

from base64 import urlsafe_b64encode

import numpy
import pytest
import pyvips
from image_processor.imaging.picture import Picture
from image_processor.render.dialects.imagor import filters as imagor_filters
from image_processor.render.dialects.imagor import frame as imagor_frame
from image_processor.render.dialects.imagor import plan as imagor_plan
from image_processor.render.dialects.imagor import url as imagor_url
from image_processor.render.plans.deferred import Deferred, Size
from image_processor.render.plans.plan import ColorSource, OriginSource, step
from image_processor.services.codec.errors import ImageError
from PIL import Image, ImageColor
from service_kit.errors import DomainError

from tests.support.images import encoded, opened, photo, pixels
from tests.support.plan_runs import rendered


def made(path: str, files: dict[int, bytes] | None = None) -> bytes:
    return rendered(imagor_plan.plan_of(imagor_url.parse(f"/unsafe/{path}".encode())), photo(64, 48), files)


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
        # imagor, processor_test.go: "full-fit-in …", "adaptive-fit-in …", "resize with no_upscale …".
        ("full-fit-in/30x20/42", (30, 23)),
        ("full-fit-in/128x128/42", (171, 128)),
        ("full-fit-in/128x128/filters:no_upscale()/42", (64, 48)),
        ("adaptive-fit-in/20x32/42", (27, 20)),
        ("adaptive-fit-in/32x20/42", (27, 20)),
        ("128x0/filters:no_upscale()/42", (64, 48)),
        ("128x32/filters:no_upscale()/42", (64, 32)),
        ("50x0/42", (50, 38)),
        ("50x-0/42", (50, 37)),
        ("stretch/32x40/42", (32, 40)),
        ("0x0:0.5x0.5/42", (32, 24)),
        ("10x10:30x20/42", (20, 10)),
        ("filters:crop(0.25,0.25,0.5,0.5)/42", (32, 24)),
        # imagor, processor_test.go: "crop absolute", "crop relative", "crop overflow", "crop with fill".
        ("32x32/filters:crop(5,5,20,20)/42", (20, 20)),
        ("32x32/filters:crop(0.1,0.1,0.8,0.8)/42", (25, 25)),
        ("32x32/filters:crop(25,25,20,20)/42", (7, 7)),
        ("40x40/filters:fill(yellow):crop(5,5,30,30)/42", (30, 30)),
        # imagor, process.go: edges are shares only if none is more than 1.
        ("0x0:30x20/42", (30, 20)),
        ("0x0:1x20/42", (1, 20)),
        # imagor, process.go: without upscale, an image is stretched only if both sides become smaller.
        ("10x10:9999x9999/stretch/30x20/filters:no_upscale()/42", (30, 20)),
        ("10x10:9999x9999/stretch/30x100/filters:no_upscale()/42", (53, 37)),
        ("10x10:9999x9999/stretch/100x20/filters:no_upscale()/42", (53, 37)),
        # imagor, process.go: a crop never keeps the last column and row.
        ("10x10:9999x9999/42", (53, 37)),
        ("0x40:0x0/42", (63, 7)),
        ("fit-in/100x100/10x5/filters:fill(red)/42", (120, 110)),
        ("32x24/10x5:20x15/filters:fill(red)/42", (62, 44)),
        # imagor, processor_test.go: "fit-in padding", "rotate fill".
        ("fit-in/100x210/10x20:15x3/filters:rotate(90):fill(yellow)/42", (233, 125)),
        ("fit-in/-180x180/10x10/filters:fill(yellow):padding(white,10,20,30,40)/42", (240, 260)),
        ("adaptive-fit-in/20x32/filters:fill(white)/42", (32, 20)),
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


def test_an_image_on_another_has_filters_of_its_own() -> None:
    """imagor, processor_test.go: "image inside rotate"."""
    over = encoded(Image.new("RGB", (10, 6), (255, 0, 0)), "PNG")

    result = pixels(made("filters:image(/filters:rotate(90):invert()/7,1,2)/42", {7: over}))

    expected = pixels(photo(64, 48)).copy()
    expected[2:12, 1:7] = (0, 255, 255)
    assert (result[..., :3] == expected).all()


@pytest.mark.parametrize(
    "filters", ["blur(2)", "pixelate(3)", "sharpen(2)", "trim(10)", "image(/filters:blur(1)/7,2,1)"]
)
def test_an_image_on_another_has_the_filters_for_still_images(filters: str) -> None:
    over = photo(24, 16)
    alone = rendered(imagor_plan.plan_of(imagor_url.parse(f"/unsafe/filters:{filters}/42".encode())), over, {7: over})

    result = pixels(made(f"filters:image(/filters:{filters}/7,1,2)/42", {7: over}))

    assert (result == pixels(made("filters:image(7,1,2)/42", {7: alone}))).all()


def test_an_image_on_another_may_have_another_color_space() -> None:
    result = opened(made("filters:image(/filters:to_colorspace(cmyk)/7,1,2)/42", {7: photo(24, 16)}))

    assert (result.mode, result.size) == ("RGB", (64, 48))


@pytest.mark.parametrize("filters", ["format(jpeg)", "format(jpeg):quality(100)"])
def test_transparent_parts_of_a_jpeg_are_black(filters: str) -> None:
    """imagor, processor/vipsprocessor/process.go: export; its JPEGs have the background of libvips."""
    source = Image.merge("RGBA", [*opened(photo(64, 48)).split(), Image.linear_gradient("L").resize((64, 48))])
    plan = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/filters:{filters}/42".encode()))

    result = pixels(rendered(plan, encoded(source, "PNG")))

    expected = numpy.asarray(Image.alpha_composite(Image.new("RGBA", (64, 48), "black"), source).convert("RGB"))
    assert numpy.abs(result - expected).mean() < 8


def test_a_filter_without_effect_does_not_fail_the_image_on_another() -> None:
    over = encoded(Image.new("RGB", (10, 6), (255, 0, 0)), "PNG")

    result = made("filters:image(/filters:rgb(0,0,0)/7,1,2)/42", {7: over})

    assert (pixels(result) == pixels(made("filters:image(7,1,2)/42", {7: over}))).all()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("channels", {"red": 0}),
        ("levels", {"black": 0}),
        ("pad", {"top": 0}),
        ("resize", {"width": 10, "fit": "fill"}),
    ],
)
def test_a_step_within_another_keeps_what_was_given(name: str, params: dict[str, object]) -> None:
    steps = [step(name, params)]

    (restored,) = imagor_frame.restored(imagor_frame.named(steps))

    assert restored == steps[0]
    assert restored.params.model_fields_set == steps[0].params.model_fields_set


@pytest.mark.parametrize(
    ("sides", "size"), [("fxf", (64, 48)), ("f-20xf-30", (44, 18)), ("fx10", (64, 10)), ("fullxfull-8", (64, 40))]
)
def test_an_image_on_another_follows_its_sides(sides: str, size: tuple[int, int]) -> None:
    """imagor, overlay_test.go: TestResolveFullDimensions."""
    over = encoded(Image.new("RGB", (10, 10), (255, 0, 0)), "PNG")

    result = pixels(made(f"filters:image({sides}/7)/color:black", {7: over}))

    red = (result[..., :3] == (255, 0, 0)).all(axis=2)
    assert (int(red.any(axis=0).sum()), int(red.any(axis=1).sum())) == size


@pytest.mark.parametrize(
    ("nested", "size"),
    [
        ("20x10/color:red", (20, 10)),
        ("20x/color:red", (20, 20)),
        ("fit-in/x10/color:red", (10, 10)),
        ("color:red", (1, 1)),
        ("f-4x10/color:red", (60, 10)),
        ("fx/color:red", (64, 48)),
    ],
)
def test_a_color_lies_on_an_image(nested: str, size: tuple[int, int]) -> None:
    """imagor, filteroverlay.go: image; process.go: a side that is missing equals the other one."""
    result = pixels(made(f"filters:image({nested},0,0)/42"))

    red = (result[..., :3] == (255, 0, 0)).all(axis=2)
    assert (int(red.any(axis=0).sum()), int(red.any(axis=1).sum())) == size


def test_an_unknown_blend_mode_is_the_normal_one() -> None:
    """imagor, processor_test.go: "image with invalid blend mode fallback"."""
    normal, unknown = (
        imagor_plan.plan_of(imagor_url.parse(f"/unsafe/filters:image(7,0,0,50{mode})/42".encode()))
        for mode in ("", ",invalid-mode")
    )

    assert normal == unknown


@pytest.mark.parametrize("mark", ["7", "b64:Nw", "b64%3ANw"])
def test_a_watermark_needs_no_place(mark: str) -> None:
    """imagor, processor_test.go: "watermark base64encoded"; filter.go: the place is 0, 0 then."""
    over = encoded(Image.new("RGB", (10, 6), (255, 0, 0)), "PNG")

    result = pixels(made(f"filters:watermark({mark})/42", {7: over}))

    assert (result[:6, :10, :3] == (255, 0, 0)).all()


@pytest.mark.parametrize(
    ("text", "color"),
    [
        ("FFO", "#ffff00"),
        ("ff0", "#ffff00"),
        ("ff000080", "#ff0000"),
        ("nothing", "#000000"),
        ("Yellow", "#ffff00"),
        ("", "#000000"),
    ],
)
def test_the_color_none_is_black(text: str, color: str) -> None:
    """imagor, color.go, and processor_test.go: "fit-in flip hue" with `fill(FFO)`."""
    filled = pixels(made(f"fit-in/64x64/filters:fill({text})/42"))

    expected = tuple(int(color[place : place + 2], 16) for place in (1, 3, 5))
    assert (filled[0, 0, :3] == expected).all()


@pytest.mark.parametrize("points", ["50x40", "50:40", "50,40", "50x40:51x41", "0.78125x0.8333333"])
def test_a_point_stays_in_the_middle(points: str) -> None:
    """imagor, process.go: numbers are split at x, comma and colon; a point is an area of one pixel."""
    (frame, *_) = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/20x20/filters:focal({points})/42".encode())).steps

    assert isinstance(frame.params, Deferred)
    (resize,) = frame.params.lowered(Size(64, 48))

    assert resize.params.model_dump()["focal"] == {
        "x": pytest.approx(0.789, abs=0.01),
        "y": pytest.approx(0.84, abs=0.01),
    }


@pytest.mark.parametrize(
    ("path", "center"),
    [
        # An area of 10 by 10 and one of 20 by 20, which weighs four times as much.
        ("20x20/filters:focal(0x0:10x10):focal(44x28:64x48)", ((5 + 4 * 54) / 5 / 64, (5 + 4 * 38) / 5 / 48)),
        ("20x10:60x40/20x20/filters:focal(50x30:51x31)", (30.5 / 40, 20.5 / 30)),
    ],
)
def test_the_center_of_the_areas_counts_by_their_size_in_the_part_that_is_left(
    path: str, center: tuple[float, float]
) -> None:
    """imagor, process.go: parseFocalPoint, and what it subtracts for the crop."""
    (frame, *_) = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/{path}/42".encode())).steps

    assert isinstance(frame.params, Deferred)
    *_, resize = frame.params.lowered(Size(64, 48))

    assert resize.params.model_dump()["focal"] == {"x": pytest.approx(center[0]), "y": pytest.approx(center[1])}


def colors_at_corners(path: str) -> set[object]:
    """Return the colors of two corners of what a URL makes of a picture that is half red, half blue."""
    image = Image.new("RGB", (64, 48), "red")
    image.paste("blue", (0, 24, 64, 48) if "x12" in path else (32, 0, 64, 48))
    plan = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/{path}/42".encode()))
    result = opened(rendered(plan, encoded(image, "PNG"))).convert("RGB")
    return {result.getpixel((0, 0)), result.getpixel((result.width - 1, result.height - 1))}


@pytest.mark.parametrize(
    ("path", "color"),
    [
        ("64x12/top", "red"),
        ("64x12/bottom", "blue"),
        ("8x48/left", "red"),
        ("8x48/right", "blue"),
    ],
)
def test_an_alignment_chooses_the_part_that_stays(path: str, color: str) -> None:
    """imagor, process.go: HAlign and VAlign."""
    assert colors_at_corners(path) == {ImageColor.getrgb(color)}


@pytest.mark.parametrize(
    ("path", "color"),
    [
        # imagor, process.go: libvips decodes at the final size, and knows a low and a high end of both axes only.
        ("64x12/left", "red"),
        ("64x12/right", "blue"),
        ("8x48/top", "red"),
        ("8x48/bottom", "blue"),
        ("8x48/right/top", "blue"),
        ("8x48/left/bottom", "red"),
        ("64x12/right/top", "red"),
    ],
)
def test_one_alignment_is_for_the_other_axis_too(path: str, color: str) -> None:
    assert colors_at_corners(path) == {ImageColor.getrgb(color)}


def test_a_share_is_a_box_of_truncated_sides() -> None:
    """imagor, filter.go: proportion; libvips scales into the box."""
    box = pyvips.Image.black(64, 48).thumbnail_image(9, height=7)

    assert opened(made("filters:proportion(0.15)/42")).size == (box.width, box.height) == (9, 7)
    assert opened(made("40x24/filters:proportion(0.3)/42")).size == (12, 7)
    box = pyvips.Image.black(10, 48).thumbnail_image(1, height=7)
    assert opened(made("10x48/filters:proportion(0.15)/42")).size == (box.width, box.height) == (1, 5)


@pytest.mark.parametrize(
    ("x", "left"),
    # imagor, overlay.go: Go's division and conversion drop the fraction, of 12.16 and 31.36 here.
    [("19p", 12), ("0.19", 12), ("49p", 31), ("-19p", 42), ("-0", 0), ("-0p", 0), ("1.9", 0)],
)
def test_a_place_drops_fractions_of_a_pixel(x: str, left: int) -> None:
    over = encoded(Image.new("RGB", (10, 6), (255, 0, 0)), "PNG")

    result = pixels(made(f"64x48/filters:watermark(7,{x},0)/color:black", {7: over}))

    red = (result[..., :3] == (255, 0, 0)).all(axis=2).any(axis=0)
    assert (int(red.argmax()), int(red.sum())) == (left, 10)


def test_a_side_with_a_minus_is_mirrored() -> None:
    source = pixels(photo(64, 48))

    assert (pixels(made("-64x48/42")) == numpy.fliplr(source)).all()
    assert (pixels(made("64x-48/42")) == numpy.flipud(source)).all()


@pytest.mark.parametrize("path", ["trim/42", "filters:trim()/42"])
def test_an_animation_is_not_trimmed(path: str) -> None:
    """imagor, process.go: trim."""
    frames = [Image.new("RGB", (60, 40), "white") for _ in range(2)]
    for frame, color in zip(frames, ("black", "red"), strict=True):
        frame.paste(color, (10, 5, 40, 25))
    still = encoded(frames[0], "WEBP", lossless=True)
    moving = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    plan = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/{path}".encode()))

    assert [opened(rendered(plan, content)).size for content in (still, moving)] == [(30, 20), (60, 40)]


@pytest.mark.parametrize("path", ["trim/42", "filters:trim()/42"])
def test_transparent_parts_are_trimmed_like_magenta(path: str) -> None:
    """imagor, process.go: findTrim."""
    image = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    image.paste((255, 0, 255, 255), (5, 5, 55, 35))
    image.paste("green", (10, 5, 40, 25))

    plan = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/{path}".encode()))

    assert opened(rendered(plan, encoded(image, "PNG"))).size == (30, 20)


@pytest.mark.parametrize("name", ["blur(5)", "sharpen(5)"])
def test_an_animation_is_neither_blurred_nor_sharpened(name: str) -> None:
    """imagor, filter.go: blur and sharpen."""
    (*_, last) = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/filters:{name}/42".encode())).steps
    frame = pyvips.Image.black(8, 8)

    assert isinstance(last.params, Deferred)
    still, moving = (last.params.lowered_for(Picture.of(frames)) for frames in ([frame], [frame, frame]))

    assert [step.name for step in still] == [name.partition("(")[0]]
    assert not moving


def test_a_crop_counts_from_the_edges_of_the_source_though_it_is_trimmed() -> None:
    """imagor, process.go: what both the crop and the trim keep."""
    image = Image.new("RGB", (60, 40), "white")
    image.paste("black", (10, 5, 40, 25))
    plan = imagor_plan.plan_of(imagor_url.parse(b"/unsafe/trim/20x10:50x40/42"))

    assert opened(rendered(plan, encoded(image, "PNG"))).size == (20, 15)


def test_contrast_is_percent_of_the_formula() -> None:
    """imagor, filter.go: contrast."""
    source = pixels(photo(64, 48))

    result = pixels(made("filters:contrast(20)/42"))

    factor = 259 * (51 + 255) / (255 * (259 - 51))
    expected = numpy.clip((source - 127.5) * factor + 127.5, 0, 255)
    assert numpy.abs(result - expected).max() <= 1


@pytest.mark.parametrize(
    "name",
    [
        "rgb(1,2)",
        "modulate(1,2)",
        "rotate()",
        "blurhash(4,3)",
        "quality(abc)",
        "focal(1)",
        # imagor, vipsprocessor.go: numbers below 1 have no effect here.
        "max_bytes(-1)",
        "max_bytes(0)",
        "max_frames(-1)",
        "page(-1)",
        "dpi(-1)",
        "quality(-1)",
    ],
)
def test_a_filter_without_effect_is_skipped_and_listed(name: str) -> None:
    """imagor, filter_processed_test.go: TestFilterProcessedFlag, TestFilterEventOutcomes."""
    plan = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/filters:{name}:grayscale()/42".encode()))

    assert plan.ignored == (name.partition("(")[0],)


def test_the_strength_of_a_redaction_is_listed_as_ignored() -> None:
    plans = [
        imagor_plan.plan_of(imagor_url.parse(f"/unsafe/filters:redact({args})/42".encode()))
        for args in ("pixelate", "pixelate,15", "", "blur,20")
    ]

    assert [plan.ignored for plan in plans] == [(), ("redact.strength",)] * 2
    assert plans[0].steps == plans[1].steps != plans[2].steps


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("text(a,0,0,sans-bold-24)", ()),
        ("text(a,0,0,serif-24)", ("text.font",)),
        ("label(a,0,0,20,red,0)", ()),
        ("label(a,0,0,20,red,0,serif)", ("label.font",)),
        ("fill(auto)", ()),
        ("fill(auto,bottom-right)", ("fill.corner",)),
        ("preview()", ("preview",)),
    ],
)
def test_an_argument_without_effect_is_listed(name: str, ignored: tuple[str, ...]) -> None:
    assert imagor_plan.plan_of(imagor_url.parse(f"/unsafe/filters:{name}/42".encode())).ignored == ignored


@pytest.fixture
def quarters() -> Image.Image:
    """Return an image of 40 × 40 pixels: half of it red, a quarter green, a quarter transparent."""
    image = Image.new("RGBA", (40, 40), (200, 0, 0, 255))
    image.paste((0, 100, 0, 255), (20, 0, 40, 20))
    image.paste((0, 0, 255, 0), (20, 20, 40, 40))
    return image


# imagor, filter.go: avgColorRGB; a quarter counts as white.
AVERAGE = (round((200 * 2 + 255) / 4), round((100 + 255) / 4), round(255 / 4))


def test_the_background_may_be_the_average_color(quarters: Image.Image) -> None:
    plan = imagor_plan.plan_of(imagor_url.parse(b"/unsafe/filters:background_color(auto)/42"))
    result = opened(rendered(plan, encoded(quarters, "PNG"))).convert("RGB")

    assert result.getpixel((30, 30)) == AVERAGE
    assert result.getpixel((10, 10)) == (200, 0, 0)

    over = pixels(made("filters:image(/filters:background_color(auto)/7)/42", {7: encoded(quarters, "PNG")}))
    assert (over[30, 30, :3] == AVERAGE).all()


@pytest.mark.parametrize("path", ["fit-in/40x60/filters:fill(auto)/42", "filters:padding(auto,0,10)/42"])
def test_the_average_color_fills_what_is_empty_and_transparent(quarters: Image.Image, path: str) -> None:
    plan = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/{path}".encode()))
    result = opened(rendered(plan, encoded(quarters, "PNG"))).convert("RGBA")

    assert result.size == (40, 60)
    assert [result.getpixel(place) for place in ((5, 5), (30, 40), (5, 55))] == [(*AVERAGE, 255)] * 3
    assert result.getpixel((10, 20)) == (200, 0, 0, 255)


def test_a_text_stands_at_its_place() -> None:
    """imagor, filters.md: `label` from the right and from the bottom."""
    plan = imagor_plan.plan_of(imagor_url.parse(b"/unsafe/filters:label(HH,-2,-3,20,red)/42"))

    result = pixels(rendered(plan, encoded(Image.new("RGB", (64, 48), "white"), "PNG")))

    red = (result[..., 0] > result[..., 1] + 100).nonzero()
    assert (int(red[1].max()), int(red[0].max())) == (result.shape[1] - 3, result.shape[0] - 4)


@pytest.mark.parametrize(("alpha", "green"), [(0, 0), (50, 128), (100, 255)])
def test_a_text_is_as_transparent_as_requested(alpha: int, green: int) -> None:
    """imagor, filters.md: the alpha of `label` is from 0, opaque, to 100, transparent."""
    plan = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/filters:label(HH,0,0,40,red,{alpha})/42".encode()))

    result = pixels(rendered(plan, encoded(Image.new("RGB", (64, 48), "white"), "PNG")))

    assert int(result[..., 1].min()) == pytest.approx(green, abs=1)


@pytest.mark.parametrize("path", [f"filters:max_bytes({'9' * 30})", f"{'9' * 5000}x10"])
def test_a_number_that_is_too_large_is_refused(path: str) -> None:
    with pytest.raises((DomainError, ImageError), match="too large"):
        made(f"{path}/42")


def test_the_quality_of_a_png_stays() -> None:
    """imagor, filters.md: "Does nothing for PNG"; thumbor and imgproxy do the same."""
    assert made("filters:quality(5):max_bytes(100)/42") == made("42")


@pytest.mark.parametrize(
    ("path", "size"), [("30x20", (30, 20)), ("fit-in/30x20", (30, 20)), ("30x0", (30, 30)), ("x", (1, 1))]
)
def test_a_color_has_the_size_of_the_url(path: str, size: tuple[int, int]) -> None:
    """imagor, process.go: a side that is missing is as long as the other one."""
    plan = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/{path}/color:red".encode()))

    assert opened(rendered(plan, encoded(Image.new("RGB", (1, 1), "red"), "PNG"))).size == size


def test_a_color_is_a_source() -> None:
    assert imagor_plan.plan_of(imagor_url.parse(b"/unsafe/10x10/color:red")).source == ColorSource("#ff0000")


@pytest.mark.parametrize(
    ("filter_", "setting", "metadata", "profile"),
    [
        ("quality(80)", False, "keep", "keep"),
        ("strip_exif()", False, "strip", "keep"),
        ("strip_icc()", False, "keep", "strip"),
        # imagor, process.go: the colors become sRGB before everything is stripped.
        ("strip_metadata()", False, "strip", "strip"),
        ("quality(80)", True, "strip", "strip"),
    ],
)
def test_what_is_stripped(filter_: str, setting: bool, metadata: str, profile: str) -> None:
    defaults = imagor_plan.ImagorDefaults(strip_metadata=setting)

    output = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/filters:{filter_}/42".encode()), defaults).encoding.output

    assert (output.metadata, output.profile) == (metadata, profile)


def test_lossless_is_for_formats_that_can_be_lossless() -> None:
    lossless, lossy = made("filters:lossless():format(webp)/42"), made("filters:lossless():format(jpeg)/42")

    assert (pixels(lossless)[..., :3] == pixels(photo(64, 48))).all()
    assert lossy == made("filters:format(jpeg)/42")


def test_the_scheme_of_an_image_may_be_missing() -> None:
    """imagor, README, "Default Scheme": https."""
    path = b"/unsafe/filters:watermark(example.org/a.png):image(/9x9/example.org/b.png)/example.org/c.png"

    plan = imagor_plan.plan_of(imagor_url.parse(path))

    assert plan.source == OriginSource("https://example.org/c.png")
    assert [source for _, source in plan.files] == [
        OriginSource(f"https://example.org/{name}.png") for name in ("a", "b")
    ]


def test_a_url_expires() -> None:
    url = imagor_url.parse(b"/unsafe/filters:expire(1000000)/42")

    assert imagor_plan.plan_of(url, now=999).wishes.expires == 1000
    with pytest.raises(DomainError) as caught:
        imagor_plan.plan_of(url, now=1000)
    assert caught.value.kind == "expired-render-url"


def test_a_download_has_a_name() -> None:
    wishes = imagor_plan.plan_of(imagor_url.parse(b"/unsafe/filters:attachment(my%20cat.jpg):max_age(60)/42")).wishes

    assert (wishes.attachment, wishes.file_name, wishes.max_age) == (True, "my cat.jpg", 60)


@pytest.mark.parametrize("name", ["bmp", "pdf"])
def test_a_format_that_imagor_only_reads_becomes_jpeg(name: str) -> None:
    """imagor, process.go: supportedSaveFormat."""
    assert opened(made(f"filters:format({name})/42")).format == "JPEG"


def test_what_follows_a_filter_is_dropped() -> None:
    """imagor, parse.go: parseFilters."""
    url = imagor_url.parse(b"/unsafe/filters:rotate(90)more:invert()/42")

    assert [(filter_.name, filter_.args) for filter_ in url.filters] == [("rotate", "90"), ("invert", "")]


def test_what_base64_holds_is_percent_encoded() -> None:
    """imagor, parse.go: Apply."""
    encoded_image = urlsafe_b64encode(b"https://example.com/a%20b+c.jpg").rstrip(b"=")

    assert imagor_url.parse(b"/unsafe/b64:" + encoded_image).image == "https://example.com/a b c.jpg"


@pytest.mark.parametrize(
    "name",
    [
        "text(a,0,0,sans-20,red,0,multiply)",
        "text(a,0,0,sans-20,red,0,,200)",
        "draw_detections()",
        "redact_oval()",
        "redact(black)",
        "format(jxl)",
        "image(filters:image(filters:image(filters:image(7)/7)/7)/7)",
    ],
)
def test_what_cannot_be_done_is_refused_by_name(name: str) -> None:
    with pytest.raises(DomainError) as caught:
        imagor_plan.plan_of(imagor_url.parse(f"/unsafe/filters:{name}/42".encode()))

    assert caught.value.kind == "unsupported-render-option"
    assert caught.value.errors[0]["pointer"] == name.partition("(")[0]


def test_every_filter_has_a_state_and_every_state_that_is_yes_is_done() -> None:
    for name, state in imagor_filters.FILTERS.items():
        if state.done == "no":
            continue
        plan = imagor_plan.plan_of(
            imagor_url.parse(f"/unsafe/meta/10x10/filters:{name}({ARGUMENTS.get(name, '')})/42".encode()), now=0
        )
        assert (name in plan.ignored) == (name in imagor_plan.WITHOUT_EFFECT), name


ARGUMENTS = {
    "background_color": "red",
    "bitdepth": "4",
    "blur": "3",
    "blurhash": "4,3",
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
    "label": "cat",
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
    "text": "cat",
    "watermark": "7,0,0,50",
}


@pytest.mark.parametrize("name", [f"text(a,0,0,sans-{'9' * 5000})", f"image(f-{'9' * 5000}xf/7)"])
def test_a_number_may_have_any_number_of_digits(name: str) -> None:
    assert imagor_plan.plan_of(imagor_url.parse(f"/unsafe/filters:{name}/42".encode())).ignored == ()


def test_a_digit_that_is_not_decimal_has_no_effect() -> None:
    assert opened(made("filters:label(a,left-²,0)/42")).size == (64, 48)


def test_a_text_that_is_not_base64_stays() -> None:
    assert imagor_url.from_base64("b64:é") == "b64:é"
