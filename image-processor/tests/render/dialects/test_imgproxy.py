"""imgproxy's URLs according to its documentation; :mod:`tests.conformance` compares the pixels."""

from pathlib import Path

import numpy
import pytest
from image_processor.render.dialects.imgproxy import url as imgproxy_url
from image_processor.render.dialects.imgproxy.options import OPTIONS
from image_processor.render.dialects.imgproxy.plan import OPTION_STATES, plan_of
from image_processor.render.plans.plan import FileSource, OriginSource, RenderPlan
from imgproxy import ImgProxy
from PIL import Image
from service_kit.errors import DomainError
from skimage import data

from tests.support.images import encoded, opened, photo, pixels
from tests.support.plan_runs import rendered

GRAMMAR = imgproxy_url.Grammar(allow_security_options=True)


def plan(options: str, source: str = "42", mark: int | None = None) -> RenderPlan:
    url = imgproxy_url.parse(f"/_/{options}/plain/{source}".encode(), GRAMMAR)
    return plan_of(url.source, url.options, mark=None if mark is None else FileSource(mark))


def made(
    options: str, content: bytes | None = None, files: dict[int, bytes] | None = None, mark: int | None = None
) -> bytes:
    return rendered(plan(options, mark=mark), content or photo(64, 48), files)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ("w:0", (64, 48)),
        ("rs:fit:32:32", (32, 24)),
        ("rs:fit:128:128", (64, 48)),
        ("rs:fit:128:128:1", (128, 96)),
        ("rs:fill:32:32", (32, 32)),
        ("rs:force:32:40", (32, 40)),
        ("rs:auto:32:24", (32, 24)),
        ("rs:auto:24:32", (24, 18)),
        ("rs:fill-down:128:64", (64, 32)),
        ("w:16/mw:32", (16, 24)),
        ("z:0.5", (32, 24)),
        ("w:16/dpr:2", (32, 24)),
        ("c:0.5:0.5", (32, 24)),
        ("c:20:10:nowe", (20, 10)),
        ("rot:90", (48, 64)),
        ("w:32/rot:90", (32, 43)),
        ("pd:1:2:3:4", (70, 52)),
        ("w:100/h:100/ex:1", (100, 100)),
    ],
)
def test_a_size(options: str, size: tuple[int, int]) -> None:
    assert opened(made(options)).size == size


def test_a_crop_is_of_the_turned_image() -> None:
    result = pixels(made("rot:90/c:10:20:nowe"))

    assert (result == numpy.rot90(pixels(photo(64, 48)), -1)[:20, :10]).all()


@pytest.mark.parametrize(
    ("options", "uncut", "middle"),
    [
        ("rs:fill:60:200/g:obj:face", "rs:force:200:200", 87),
        ("rs:fill:60:200/g:objw:face:2", "rs:force:200:200", 87),
        # Its face is too small to be found after the picture has been scaled down.
        ("rs:fill:12:40/g:obj", "rs:force:40:40", 17),
        ("fl:1/rs:fill:60:200/g:obj:face", "fl:1/rs:force:200:200", 113),
        ("rot:90/rs:fill:60:200/g:obj:face", "rot:90/rs:force:200:200", 151),
        ("rot:270/fl:1/rs:fill:60:200/g:obj:face", "rot:270/fl:1/rs:force:200:200", 151),
        ("c:100:0:obj:face", "w:0", 224),
        ("rot:90/c:100:0/g:obj:face", "rot:90", 386),
        ("c:300:0:we/rs:fill:100:512/g:obj:face", "c:300:0:we", 224),
    ],
)
def test_the_faces_are_in_the_middle(options: str, uncut: str, middle: int) -> None:
    """The face of the astronaut is from 180 to 268 and from 70 to 180, as marked by hand in `tests/test_faces.py`."""
    astronaut = (Path(data.__file__).parent / "astronaut.png").read_bytes()
    whole, part = pixels(made(uncut, astronaut)), pixels(made(options, astronaut))
    width = part.shape[1]

    places = [left for left in range(whole.shape[1] - width + 1) if (whole[:, left : left + width] == part).all()]

    assert len(places) == 1
    assert abs(places[0] + width / 2 - middle) <= max(2, whole.shape[1] / 50)


def test_a_crop_around_faces_has_the_requested_size() -> None:
    astronaut = (Path(data.__file__).parent / "astronaut.png").read_bytes()

    assert opened(made("c:400:400:obj:face", astronaut)).size == (400, 400)
    assert opened(made("c:400:300:obj:face/rs:fill:90:90/g:obj:face", astronaut)).size == (90, 90)


@pytest.mark.parametrize("options", ["rs:fill:20:40/g:{}", "c:20:20:{}", "c:20:20/g:{}"])
def test_without_a_face_the_part_is_the_one_that_draws_the_eye(options: str) -> None:
    """imgproxy's default: IMGPROXY_OBJECT_DETECTION_FALLBACK_TO_SMART_CROP is true."""
    assert made(options.format("obj:face")) == made(options.format("sm"))


def test_transparent_parts_are_trimmed_like_magenta() -> None:
    """imgproxy, vips.c: vips_trim."""
    image = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    image.paste((255, 0, 255, 255), (5, 5, 55, 35))
    image.paste("green", (10, 5, 40, 25))

    sizes = [opened(made(f"t:10{color}", encoded(image, "PNG"))).size for color in ("", ":ff00ff", ":000000")]

    assert sizes == [(30, 20), (30, 20), (60, 40)]


def test_a_line_of_one_pixel_does_not_hold_a_trim_up() -> None:
    """libvips, vips_find_trim: the median of nine pixels takes noise away, unless it is line art."""
    image = Image.new("RGB", (60, 40), "white")
    image.paste("green", (10, 5, 40, 25))
    image.paste("black", (0, 35, 60, 36))

    assert opened(made("t:10", encoded(image, "PNG"))).size == (30, 20)


def test_an_animation_is_not_trimmed() -> None:
    """imgproxy, processing.go: transformAnimated."""
    frames = [Image.new("RGB", (60, 40), "white") for _ in range(2)]
    for frame, color in zip(frames, ("black", "red"), strict=True):
        frame.paste(color, (10, 5, 40, 25))
    moving = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True)

    sizes = [opened(made(f"t:10/maf:{most}", moving)).size for most in (1, 2)]

    assert sizes == [(30, 20), (60, 40)]


def test_a_background_lies_under_a_transparent_image() -> None:
    clear = encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG")

    assert (pixels(made("bg:ff8000", clear)) == (255, 128, 0)).all()


def test_a_watermark_has_an_opacity_and_an_offset() -> None:
    mark = encoded(Image.new("RGB", (10, 6), (255, 0, 0)), "PNG")

    result = pixels(made("wm:1:soea:4:5", files={7: mark}, mark=7))

    expected = pixels(photo(64, 48)).copy()
    expected[37:43, 50:60] = (255, 0, 0)
    assert (result[..., :3] == expected).all()


def test_without_a_watermark_in_the_settings_the_option_has_no_effect() -> None:
    assert (pixels(made("wm:1")) == pixels(photo(64, 48))).all()


def test_an_animation_becomes_its_first_frame_unless_the_url_may_ask_for_more() -> None:
    frames = [opened(photo(40, 30)).rotate(90 * turn) for turn in range(3)]
    animation = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True)

    assert getattr(opened(made("f:webp", animation)), "n_frames", 1) == 1
    assert getattr(opened(made("f:webp/maf:2", animation)), "n_frames", 1) == 2


def test_an_image_stays_as_it_is_stored_without_auto_rotate() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = photo(64, 48, format="JPEG", exif=exif.tobytes())

    assert opened(made("w:0", sideways)).size == (48, 64)
    assert opened(made("ar:0", sideways)).size == (64, 48)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ("f:jxl", "format"),
        ("ph:1", "preserve_hdr"),
        ("eth:1", "enforce_thumbnail"),
        ("vts:1", "video_thumbnail_second"),
        ("dd:1", "draw_detections"),
        ("g:obj:cat", "gravity:obj"),
        ("bd:5:cat", "blur_detections"),
        ("aq:ml", "autoquality"),
        # imgproxy Pro: encrypted sources, chained pipelines, the second meaning of `co`, and marks like a chessboard.
        ("enc", "enc"),
        ("w:300/-/bl:5", "-"),
        ("co:0.1:face", "co"),
        ("wm:1:ch", "watermark:ch"),
        ("wm:1/wmr:45/wmu:NDM", "watermark_rotate"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(options: str, name: str) -> None:
    with pytest.raises(DomainError) as caught:
        plan(options)

    assert caught.value.kind == "unsupported-render-option"
    assert caught.value.errors[0]["pointer"] == name


@pytest.mark.parametrize(
    ("options", "own", "changed"),
    [
        ("jpgo:1", "jpeg", {"progressive": True}),
        ("jpgo:0:1", "jpeg", {"subsampling": "4:4:4"}),
        ("pngo:1", "png", {"progressive": True}),
        ("pngo:0:1:16", "png", {"palette": True, "colors": 16}),
        ("webpo:lossless", "webp", {"lossless": True}),
        ("avifo:off", "avif", {"subsampling": "4:4:4"}),
    ],
)
def test_the_options_of_a_format_do_not_change_others(options: str, own: str, changed: dict[str, object]) -> None:
    usual, encoding = plan("w:0").encoding, plan(options).encoding

    for name in ("jpeg", "png", "webp", "avif", "gif", "tiff"):
        expected = usual.in_format(name).model_dump() | (changed if name == own else {})
        assert encoding.in_format(name).model_dump() == expected


@pytest.mark.parametrize("options", ["ph:0/eth:0", "dpi:0", "pgs:1", "wmsh:0", "hs:none"])
def test_an_option_that_is_off_is_not_refused(options: str) -> None:
    assert plan(options).steps == plan("w:0").steps


def test_what_imgproxy_s_client_writes_is_read() -> None:
    url = str(ImgProxy("https://example.org/a b.jpg", width=300, height=200, gravity="sm", extension="webp"))

    read = imgproxy_url.parse(url.encode(), GRAMMAR)

    assert read.source == "https://example.org/a b.jpg"
    assert (read.options["width"], read.options["height"], read.options["format"]) == (300, 200, "webp")
    assert plan_of(read.source, read.options).source == OriginSource("https://example.org/a b.jpg")


@pytest.mark.parametrize(
    ("options", "quality"),
    [
        ("aq:size:1000", None),
        ("aq:size:1000::60", 60),
        ("q:90/aq:size:1000::60", 60),
        ("q:90/aq:dssim:0.02:70:60", 60),
        ("q:90/aq:none:0.02:70:60", 90),
        ("q:90/aq:size:1000::0", 90),
    ],
)
def test_a_search_ends_at_the_maximum_quality(options: str, quality: int | None) -> None:
    assert plan(options).encoding.output.quality == quality


def test_a_negative_limit_of_sides_limits_nothing() -> None:
    """imgproxy, processing/prepare.go: limitScale."""
    assert opened(made("mrd:-1/w:32")).size == (32, 24)


def test_a_url_with_a_negative_expiry_does_not_expire() -> None:
    """imgproxy, options/parser/apply.go: applyExpiresOption."""
    assert plan("exp:-1").wishes == plan("exp:0").wishes


def test_the_best_format_is_among_the_preferred_ones_and_those_of_the_client() -> None:
    """The documentation of imgproxy, features/best_format and *Preferred formats*."""
    encoding = plan("f:best").encoding

    assert (encoding.compared, encoding.negotiated) == (("jpeg", "png", "gif"), True)


def test_the_best_format_has_results_of_its_own() -> None:
    url = imgproxy_url.parse(b"/_/w:0/plain/42", GRAMMAR)
    negotiated = plan_of(url.source, url.options, negotiated=True)

    assert plan("w:0/f:best").digest() != negotiated.digest()


def test_slashes_that_a_proxy_ate_are_restored_before_the_signature_is_judged() -> None:
    _, path = imgproxy_url.signature_and_path(b"/_/w:1/plain/http:/example.org/a.jpg")

    assert path == b"/w:1/plain/http://example.org/a.jpg"


def test_a_replacement_has_groups_as_go_writes_them() -> None:
    grammar = imgproxy_url.Grammar(url_replacements=[("^mys3://([^/]+)/", "https://${1}.example.org/")])

    assert imgproxy_url.parse(b"/_/plain/mys3://cats/a.jpg", grammar).source == "https://cats.example.org/a.jpg"


def test_a_file_name_may_follow_a_source_in_base64() -> None:
    grammar = imgproxy_url.Grammar(base64_url_includes_filename=True)

    assert imgproxy_url.parse(b"/_/w:1/NDI.png/cat.png", grammar).source == "42"


def test_without_pro_a_source_may_begin_like_an_encrypted_one() -> None:
    url = imgproxy_url.parse(b"/_/w:1/enc/xLmpwZw", imgproxy_url.Grammar(pro=False))

    assert url.source == "zw1.jpg"


def test_an_empty_cachebuster_takes_the_one_before_away() -> None:
    """imgproxy, options/parser/apply.go: applyCacheBusterOption."""
    url = imgproxy_url.parse(b"/_/cb:123/cb:/plain/42", imgproxy_url.Grammar())

    assert url.options == {}


@pytest.mark.parametrize("options", [f"w:{'9' * 5000}", f"blur:{'9' * 5000}", f"q:{'9' * 30}"])
def test_a_number_that_is_too_large_is_refused(options: str) -> None:
    with pytest.raises(DomainError) as caught:
        imgproxy_url.parse(f"/_/{options}/plain/42".encode(), imgproxy_url.Grammar())

    assert caught.value.kind == "bad-render-option"


def test_the_separator_may_be_percent_encoded() -> None:
    assert imgproxy_url.parse(b"/_/rs%3Afill%3A10%3a20/plain/42", GRAMMAR).options["height"] == 20


def test_every_option_has_a_state() -> None:
    names = {option.names[0] for option in OPTIONS}

    assert set(OPTION_STATES) == names | {"preset"}


@pytest.mark.parametrize("name", [name for name, state in OPTION_STATES.items() if state.done == "no"])
def test_an_option_whose_state_is_no_is_refused(name: str) -> None:
    argument = {"style": "YQ", "pages": "2"}.get(name, "1")

    with pytest.raises(DomainError) as caught:
        plan(f"{name}:{argument}")

    assert caught.value.kind == "unsupported-render-option"


def test_a_path_without_a_source_is_read_in_linear_time() -> None:
    path = "/x/" + "plain/" * 100_000

    assert imgproxy_url.signature_and_path(path.encode()) == ("x", path.removeprefix("/x").encode())


@pytest.mark.parametrize(
    ("option", "ignored"),
    [
        ("ush:auto:2", ("unsharp_masking.mode",)),
        ("ush:always:2", ()),
        ("ush:always:2:12", ("unsharp_masking.divider",)),
        ("ush:always:2:24", ()),
        ("aq:size:1000:70:80:0.01", ("autoquality.min", "autoquality.allowed_error")),
        ("aq:size:1000:1:80:0", ()),
        ("col:0.5:ff0000:0", ("colorize.keep_alpha",)),
        ("bd:5:face", ("blur_detections.sigma",)),
        ("jpgo:1:1:0:0:0:0", ()),
        ("jpgo:0:0:1:0:1:3", ("jpeg.trellis_quant", "jpeg.optimize_scans", "jpeg.quant_table")),
        ("webpo:near_lossless", ("webp.compression",)),
        ("webpo:lossy:1:photo", ("webp.smart_subsample", "webp.preset")),
        ("webpo:lossless:0:default", ()),
        ("wm:1:ce:-5:7/wmt:YQ/wms:20", ("watermark.x_offset", "watermark.y_offset", "watermark_size")),
        ("wm:1:ce:5:0/wmt:YQ/wmr:45", ()),
        ("wm:1:ce:-5:7/wmu:NDM/wms:20/wmr:360", ()),
    ],
)
def test_arguments_without_effect_are_reported(option: str, ignored: tuple[str, ...]) -> None:
    url = imgproxy_url.parse(f"/signature/{option}/plain/42".encode(), imgproxy_url.Grammar())

    assert plan_of(url.source, url.options).ignored == ignored


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # imgproxy, processing_options_test.go.
        (
            "extend:1:so:10:20",
            {
                "extend.enabled": True,
                "extend.gravity.type": "so",
                "extend.gravity.x_offset": 10,
                "extend.gravity.y_offset": 20,
            },
        ),
        (
            "gravity:fp:0.5:0.75",
            {"gravity.type": "fp", "gravity.x_offset": 0.5, "gravity.y_offset": 0.75},
        ),
        ("background:128:129:130", {"background": "#808182"}),
        ("background:ffddee", {"background": "#ffddee"}),
        ("background:fff/background:", {}),
        # docs.imgproxy.net, "Processing an image": missing arguments, and those with several values.
        ("bg:FA0", {"background": "#ffaa00"}),
        ("s::200", {"height": 200}),
        ("w:100/h:50/s:::1", {"width": 100, "height": 50, "enlarge": True}),
        ("rs::10", {"width": 10}),
        ("z:2", {"zoom_width": 2, "zoom_height": 2}),
        ("z:2:3", {"zoom_width": 2, "zoom_height": 3}),
        ("fl::1", {"flip.vertical": True}),
        ("el:t", {"enlarge": True}),
        ("el:yes", {"enlarge": False}),
        ("fq:jpg:60:webp:70", {"format_quality.jpeg": 60, "format_quality.webp": 70}),
        ("skp:jpg:png/skp:gif", {"skip_processing": ["jpeg", "png", "gif"]}),
        ("fn:holiday", {"filename": "holiday"}),
        ("fn:aG9saWRheQ:1", {"filename": "holiday"}),
        ("msr:16.8", {"max_src_resolution": 16_800_000}),
        (
            "t:10:ff00ff:1:0",
            {
                "trim.threshold": 10,
                "trim.color": "#ff00ff",
                "trim.equal_horizontal": True,
                "trim.equal_vertical": False,
            },
        ),
        ("g:nowe:3:4/g:sm", {"gravity.type": "sm"}),
        (
            "wm:0.5:re:10:20:0.6",
            {
                "watermark.opacity": 0.5,
                "watermark.position": "re",
                "watermark.x_offset": 10,
                "watermark.y_offset": 20,
                "watermark.scale": 0.6,
            },
        ),
        (
            "ba:3:0.1:0.2:0.3:0.4:0.5:0.6:0.7:0.8",
            {"blur_areas.sigma": 3, "blur_areas.areas": [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]},
        ),
        # imgproxy, options/parser/apply.go: an omitted threshold or color of `trim` takes the earlier one away.
        ("t:10:ff00ff/t:", {}),
        ("t:10:ff00ff/t:5", {"trim.threshold": 5}),
    ],
)
def test_arguments_are_read(options: str, expected: dict[str, object]) -> None:
    assert imgproxy_url.parse(f"/_/{options}/plain/42".encode(), GRAMMAR).options == expected


@pytest.mark.parametrize(
    ("options", "sides"),
    [
        ("pd:1", (1, 1, 1, 1)),
        ("pd:1:2", (1, 2, 1, 2)),
        ("pd:1:2:3", (1, 2, 3, 2)),
        ("pd:1:::4", (1, 1, 1, 4)),
        ("pd:1::3", (1, 1, 3, 1)),
        ("pd::2", (0, 2, 0, 2)),
        # imgproxy, options/parser/apply.go and options/options.go: what an earlier option set stays.
        ("pd:7/pd::2", (7, 2, 7, 2)),
        ("pd::2/pd:", (0, 2, 0, 2)),
    ],
)
def test_an_omitted_side_of_the_padding_is_that_of_another(options: str, sides: tuple[int, ...]) -> None:
    read = imgproxy_url.parse(f"/_/{options}/plain/42".encode(), GRAMMAR).options

    assert tuple(read.get(f"padding.{side}", 0) for side in ("top", "right", "bottom", "left")) == sides


@pytest.mark.parametrize(
    "options",
    [
        # imgproxy, processing_options_test.go.
        "extend:1:sm",
        "extend:1:re",
        "gravity:re",
        "crop:100:200:re",
        # docs.imgproxy.net, "Processing an image": the ranges of the arguments.
        "g:fp:0.5",
        "g:fp:0.5:1.5",
        "g:sm:1",
        "bg:256:0:0",
        "bg:1:2",
        "bg:ffff",
        "rot:45",
        "dpr:0",
        "z:0",
        "q:101",
        "q:-1",
        "wm:1.1",
        "w:-1",
        "w:1:2",
        "pd:1:2:3:4:5",
        "fq:jpg",
        "fq:jpg:60:webp",
        "f:exe",
        "rt:stretch",
        "ba:3:0.1:0.2:0.3",
        "ba:3:0.1:0.2:0.3:0.4:0.5",
        "ba:3",
        "fn:%FF:1",
        "w:1_0",
        "blur:nan",
        # imgproxy refuses every file with a negative limit.
        "msfs:-1",
        "maf:-1",
        "maf:0",
        "msr:-1",
        "mafr:-1",
        "pg:-1",
        "pgs:0",
        "mb:-1",
        "pix:-1",
    ],
)
def test_arguments_out_of_range_are_refused(options: str) -> None:
    with pytest.raises(DomainError) as caught:
        imgproxy_url.parse(f"/_/{options}/plain/42".encode(), GRAMMAR)

    assert caught.value.kind == "bad-render-option"
