"""Each dialect uses every argument that it reads, names it as ignored, or refuses it; it drops none silently.

Each sample has all arguments of an option twice, with different values. A URL with one of the other values must give
another plan, unless the plan names the argument.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import pytest
from image_processor.render.dialects import native
from image_processor.render.dialects.imagor import filters as imagor_filters
from image_processor.render.dialects.imagor import plan as imagor_plan
from image_processor.render.dialects.imagor import url as imagor_url
from image_processor.render.dialects.imgproxy import url as imgproxy_url
from image_processor.render.dialects.imgproxy.options import OPTIONS, Values
from image_processor.render.dialects.imgproxy.plan import plan_of as plan_of_imgproxy
from image_processor.render.dialects.thumbor import plan as thumbor_plan
from image_processor.render.dialects.thumbor import url as thumbor_url
from image_processor.render.dialects.thumbor.url import CornerTrim, Filter, ThumborUrl
from image_processor.render.plans.plan import FileSource, RenderPlan
from service_kit.errors import DomainError

Args = Sequence[str]
UNSUPPORTED = "unsupported-render-option"


def changed(first: Args, other: Args) -> Sequence[Args]:
    """Return the first arguments, with one of the others in each place."""
    return [[*first[:place], other[place], *first[place + 1 :]] for place in range(len(first))]


# imgproxy

GRAMMAR = imgproxy_url.Grammar(allow_security_options=True)
IMGPROXY: Mapping[str, tuple[str, str]] = {
    "resize": ("fit:10:20:0:1:no:1:2", "fill:11:21:1:0:so:3:4"),
    "size": ("10:20:0:1:no:1:2", "11:21:1:0:so:3:4"),
    "resizing_type": ("fit", "fill"),
    "width": ("10", "11"),
    "height": ("10", "11"),
    "min-width": ("10", "11"),
    "min-height": ("10", "11"),
    "zoom": ("1.5:2", "2:3"),
    "dpr": ("2", "3"),
    "enlarge": ("1", "0"),
    "extend": ("1:no:1:2", "0:so:3:4"),
    "extend_aspect_ratio": ("1:no:1:2", "0:so:3:4"),
    "gravity": ("no:1:2", "so:3:4"),
    "crop": ("10:20:no:1:2", "11:21:so:3:4"),
    "trim": ("10:ff0000:1:1", "20:00ff00:0:0"),
    "padding": ("1:2:3:4", "5:6:7:8"),
    "auto_rotate": ("1", "0"),
    "rotate": ("90", "180"),
    "flip": ("1:1", "0:0"),
    "background": ("10:20:30", "11:21:31"),
    "blur": ("2", "3"),
    "sharpen": ("2", "3"),
    "pixelate": ("4", "5"),
    "watermark": ("0.5:no:1:2:0.3", "0.6:so:3:4:0.4"),
    "strip_metadata": ("1", "0"),
    "keep_copyright": ("1", "0"),
    "strip_color_profile": ("1", "0"),
    "preserve_hdr": ("1", "0"),
    "enforce_thumbnail": ("1", "0"),
    "quality": ("50", "60"),
    "format_quality": ("jpeg:50:webp:60:png:70", "tiff:51:avif:61:gif:71"),
    "max_bytes": ("1000", "2000"),
    "format": ("png", "webp"),
    "skip_processing": ("jpeg:png", "gif:webp"),
    "raw": ("1", "0"),
    "cachebuster": ("a", "b"),
    "expires": ("4102444800", "4102444801"),
    "filename": ("aG9s:0", "Y2F0:1"),
    "return_attachment": ("1", "0"),
    "max_src_resolution": ("1", "2"),
    "max_src_file_size": ("100", "200"),
    "max_animation_frames": ("2", "3"),
    "max_animation_frame_resolution": ("1", "2"),
    "max_result_dimension": ("10", "20"),
    "adjust": ("10:1.5:0.5", "20:1.6:0.6"),
    "brightness": ("10", "20"),
    "contrast": ("1.5", "1.6"),
    "saturation": ("0.5", "0.6"),
    "monochrome": ("0.5:ff0000", "0.6:00ff00"),
    "duotone": ("1:ff0000:00ff00", "0:0000ff:ffff00"),
    "unsharp_masking": ("always:2:12", "none:3:6"),
    "colorize": ("0.5:ff0000:1", "0.6:00ff00:0"),
    "gradient": ("0.5:ff0000:down:0.1:0.9", "0.6:00ff00:up:0.2:0.8"),
    "background_alpha": ("0.5", "0.6"),
    "resizing_algorithm": ("nearest", "cubic"),
    "crop_aspect_ratio": ("1.5:1", "1.6:0"),
    "crop_objects": ("0.1:face", "0.2:cat"),
    "blur_areas": ("3:0.1:0.2:0.3:0.4", "4:0.2:0.3:0.4:0.5"),
    "blur_detections": ("3:face", "4:cat"),
    "draw_detections": ("1:face", "0:cat"),
    "progressive_blur": ("3:down:0.1:0.9", "4:up:0.2:0.8"),
    "watermark_url": ("NDI", "NDM"),
    "watermark_text": ("YQ", "Yg"),
    "watermark_size": ("10:20", "11:21"),
    "watermark_rotate": ("45", "90"),
    "watermark_shadow": ("1", "2"),
    "style": ("YQ", "Yg"),
    "dpi": ("72", "96"),
    "autoquality": ("size:1000:10:60:0.1", "dssim:2000:20:70:0.2"),
    "jpeg_options": ("1:1:1:1:1:1", "0:0:0:0:0:2"),
    "png_options": ("1:1:16", "0:0:32"),
    "webp_options": ("lossless:1:photo", "lossy:0:icon"),
    "avif_options": ("on", "auto"),
    "page": ("1", "2"),
    "pages": ("2", "3"),
    "disable_animation": ("1", "0"),
    "color_profile": ("srgb", "cmyk"),
    "fallback_image_url": ("NDI", "NDM"),
    "hashsum": ("md5:a", "sha1:b"),
    "bypass_cache": ("1", "0"),
    "cache_tags": ("a:b", "c:d"),
    "video_thumbnail_second": ("1", "2"),
    "video_thumbnail_keyframes": ("1", "0"),
    "video_thumbnail_tile": ("1:2", "2:3"),
    "video_thumbnail_animation": ("1:2", "2:3"),
}
BEFORE: Mapping[str, str] = {
    "background_alpha": "bg:ff0000",
    "crop_aspect_ratio": "c:10:10",
    "disable_animation": "maf:5",
    "watermark_rotate": "wm:1/wmt:YQ",
    "watermark_size": "wm:1",
    "watermark_text": "wm:1",
    "watermark_url": "wm:1",
}
"""Options that another one needs."""
OF_ANY_NUMBER = (
    "cache_tags",
    "crop_objects",
    "blur_detections",
    "draw_detections",
    "video_thumbnail_tile",
    "video_thumbnail_animation",
    # imgproxy accepts two more arguments, and does not read them either.
    "watermark",
)


def read_imgproxy(name: str, args: str) -> Values:
    options = "/".join([*([BEFORE[name]] if name in BEFORE else []), f"{name}:{args}"])
    return imgproxy_url.parse(f"/_/{options}/plain/42".encode(), GRAMMAR).options


def planned_by_imgproxy(values: Values) -> RenderPlan | str:
    """Return the plan, or the kind of the refusal."""
    try:
        return plan_of_imgproxy("42", values, mark=FileSource(7))
    except DomainError as error:
        return error.kind


def test_every_option_of_imgproxy_has_a_sample() -> None:
    assert set(IMGPROXY) == {option.names[0] for option in OPTIONS}


@pytest.mark.parametrize("name", [name for name in IMGPROXY if name not in OF_ANY_NUMBER])
def test_the_sample_of_an_option_of_imgproxy_has_all_arguments(name: str) -> None:
    with pytest.raises(DomainError) as refused:
        read_imgproxy(name, f"{IMGPROXY[name][0]}:1")

    assert refused.value.kind == "bad-render-option"


@pytest.mark.parametrize("name", IMGPROXY)
def test_no_argument_of_imgproxy_is_dropped_silently(name: str) -> None:
    first, other = (args.split(":") for args in IMGPROXY[name])
    values = read_imgproxy(name, ":".join(first))
    plan = planned_by_imgproxy(values)

    for args in changed(first, other):
        others = read_imgproxy(name, ":".join(args))
        keys = {key for key in {*values, *others} if values.get(key) != others.get(key)}

        assert keys, args
        if isinstance(plan, RenderPlan):
            assert planned_by_imgproxy(others) != plan or keys & {*plan.ignored}, args
        else:
            assert plan == UNSUPPORTED


# thumbor and imagor

URL = ThumborUrl("", b"", trim=CornerTrim(), crop=(1, 1, 20, 20), width=10, height=10, image="42")
PARTS: Sequence[tuple[str, object]] = (
    ("debug", True),
    ("meta", True),
    ("trim", CornerTrim("bottom-right", 0)),
    ("trim", CornerTrim("top-left", 5)),
    ("crop", (2, 1, 20, 20)),
    ("fit_in", "fit-in"),
    ("fit_in", "adaptive-fit-in"),
    ("fit_in", "full-fit-in"),
    ("stretch", True),
    ("width", 11),
    ("height", 11),
    ("flip_horizontal", True),
    ("flip_vertical", True),
    ("padding", (1, 2, 3, 4)),
    ("halign", "left"),
    ("valign", "top"),
    ("smart", True),
    ("filters", (Filter("grayscale", ""),)),
    ("image", "43"),
)
NOT_IN_GRAMMAR: Mapping[str, Args] = {"thumbor": ("stretch", "padding"), "imagor": ("debug",)}


def planned(dialect: str, url: ThumborUrl) -> RenderPlan:
    return thumbor_plan.plan_of(url) if dialect == "thumbor" else imagor_plan.plan_of(url, now=0)


def test_every_part_of_a_url_has_a_sample() -> None:
    assert {name for name, _ in PARTS} | {"signature", "signed"} == {field.name for field in fields(ThumborUrl)}


@pytest.mark.parametrize("dialect", ["thumbor", "imagor"])
@pytest.mark.parametrize(("name", "value"), PARTS)
def test_no_part_of_a_url_is_dropped_silently(dialect: str, name: str, value: object) -> None:
    # imagor's padding belongs to the canvas that the filter `fill` makes.
    url = replace(URL, filters=(Filter("fill", "red"),)) if name == "padding" else URL

    plan = planned(dialect, replace(url, **{name: value}))  # type: ignore[arg-type]  # the value fits its field

    assert name in NOT_IN_GRAMMAR[dialect] or plan != planned(dialect, url)


Filters = Mapping[str, tuple[Args, Args]]
BANDS = "[(0,0),(255,255)]"
THUMBOR: Filters = {
    "autojpg": (["true"], ["false"]),
    "background_color": (["red"], ["blue"]),
    "blur": (["3", "2"], ["4", "5"]),
    "brightness": (["10"], ["20"]),
    "colorize": (["10", "20", "30", "ff0000"], ["11", "21", "31", "00ff00"]),
    "contrast": (["10"], ["20"]),
    "convolution": (["1;2;1;2;4;2;1;2;1", "3", "true"], ["1;2;1;2;5;2;1;2;1", "5", "false"]),
    "cover": ([], []),
    "curve": ([BANDS.replace("0,0", f"0,{band}") for band in range(4)], [BANDS.replace("0,0", "9,9")] * 4),
    "equalize": ([], []),
    "extract_focal": ([], []),
    "fill": (["red", "true"], ["blue", "false"]),
    "focal": (["1x2:30x40"], ["5x6:30x40"]),
    "format": (["webp"], ["png"]),
    "frame": (["7"], ["8"]),
    "grayscale": ([], []),
    "max_age": (["60"], ["70"]),
    "max_bytes": (["1000"], ["2000"]),
    "no_upscale": ([], []),
    "noise": (["10", "1"], ["20", "2"]),
    "proportion": (["0.5"], ["0.6"]),
    "quality": (["50"], ["60"]),
    "red_eye": ([], []),
    "rgb": (["1", "2", "3"], ["4", "5", "6"]),
    "rotate": (["90"], ["180"]),
    "round_corner": (["10|20", "1", "2", "3", "false"], ["11|21", "4", "5", "6", "true"]),
    "saturation": (["0.5"], ["0.6"]),
    "sharpen": (["1", "1", "true"], ["2", "2", "false"]),
    "stretch": ([], []),
    "strip_exif": ([], []),
    "strip_icc": ([], []),
    "upscale": ([], []),
    "watermark": (["7", "0", "0", "50", "10", "20"], ["8", "1", "2", "60", "11", "21"]),
}
IMAGOR: Filters = {
    "attachment": (["a.jpg"], ["b.jpg"]),
    "autojpg": ([], []),
    "avgcolor": ([], []),
    "background_color": (["auto", "top-left"], ["red", "bottom-right"]),
    "bitdepth": (["4"], ["2"]),
    "blur": (["3"], ["4"]),
    "blurhash": (["4", "3"], ["5", "4"]),
    "brightness": (["10"], ["20"]),
    "compression": (["5"], ["6"]),
    "contrast": (["10"], ["20"]),
    "crop": (["1", "2", "10", "11"], ["3", "4", "12", "13"]),
    "dpi": (["100"], ["200"]),
    "draw_detections": ([], []),
    "expire": (["1000"], ["2000"]),
    "fill": (["red", "top-left"], ["blue", "bottom-right"]),
    "focal": (["0.1x0.2:0.3x0.4"], ["0.2x0.2:0.3x0.4"]),
    "format": (["webp"], ["png"]),
    "grayscale": ([], []),
    "hue": (["10"], ["20"]),
    "image": (["/9x9/7", "1", "2", "10", "screen"], ["/9x9/8", "3", "4", "20", "multiply"]),
    "invert": ([], []),
    "label": (["cat", "1", "2", "20", "red", "10", "serif"], ["dog", "3", "4", "30", "blue", "20", "mono"]),
    "lossless": ([], []),
    "max_age": (["60"], ["70"]),
    "max_bytes": (["1000"], ["2000"]),
    "max_frames": (["2"], ["3"]),
    "modulate": (["1", "2", "3"], ["4", "5", "6"]),
    "no_upscale": ([], []),
    "orient": (["90"], ["180"]),
    "padding": (["red", "1", "2", "3", "4"], ["blue", "5", "6", "7", "8"]),
    "page": (["2"], ["3"]),
    "palette": ([], []),
    "pixelate": (["4"], ["5"]),
    "preview": ([], []),
    "proportion": (["50"], ["60"]),
    "quality": (["50"], ["60"]),
    "raw": ([], []),
    "redact": (["blur", "5"], ["pixelate", "6"]),
    "redact_oval": ([], []),
    "rgb": (["1", "2", "3"], ["4", "5", "6"]),
    "rotate": (["90"], ["180"]),
    "round_corner": (["10", "20", "red"], ["11", "21", "blue"]),
    "saturation": (["10"], ["20"]),
    "sharpen": (["1"], ["2"]),
    "stretch": ([], []),
    "strip_exif": ([], []),
    "strip_icc": ([], []),
    "strip_metadata": ([], []),
    "text": (["cat", "1", "2", "serif-bold-20", "red", "10"], ["dog", "3", "4", "mono-bold-20", "blue", "20"]),
    "thumbhash": ([], []),
    "to_colorspace": (["srgb"], ["cmyk"]),
    "trim": (["10", "bottom-right"], ["20", "top-left"]),
    "upscale": ([], []),
    "watermark": (["7", "1", "2", "50", "10", "20"], ["8", "3", "4", "60", "11", "21"]),
}
OF_META = ("avgcolor", "blurhash", "thumbhash")
IN_ALL_RESULTS = {"thumbor": ("strip_exif",), "imagor": ()}
"""Filters that ask for what every result has."""


def filtered(dialect: str, start: str, name: str = "", args: Args = ()) -> RenderPlan | str:
    """Return the plan of a URL with a filter, or without one, or the kind of the refusal."""
    filters = f"filters:{name}({','.join(args)})/" if name else ""
    target = f"/unsafe/{start}10x10/{filters}42".encode()
    try:
        return planned(dialect, (thumbor_url if dialect == "thumbor" else imagor_url).parse(target))
    except DomainError as error:
        return error.kind


def starts(dialect: str, name: str) -> Args:
    """Return the beginnings of URLs; a filter has an effect in one of them."""
    return ["meta/"] if dialect == "imagor" and name in OF_META else ["", "fit-in/"]


def names_it(plan: RenderPlan, name: str) -> bool:
    return any(ignored.partition(".")[0] == name for ignored in plan.ignored)


def test_every_filter_has_a_sample() -> None:
    assert set(THUMBOR) == set(thumbor_plan.FILTERS)
    assert set(IMAGOR) == set(imagor_filters.FILTERS)


@pytest.mark.parametrize("name", [name for name, state in thumbor_plan.FILTERS.items() if state.done != "no"])
def test_the_sample_of_a_filter_of_thumbor_has_all_arguments(name: str) -> None:
    args, _ = THUMBOR[name]

    complete, longer = (filtered("thumbor", "", name, given) for given in (args, [*args, "1"]))

    assert isinstance(complete, RenderPlan)
    assert isinstance(longer, RenderPlan)
    assert (name in complete.ignored) == (name in thumbor_plan.WITHOUT_EFFECT)
    assert name in longer.ignored


@pytest.mark.parametrize(
    ("dialect", "name"), [*(("thumbor", name) for name in THUMBOR), *(("imagor", name) for name in IMAGOR)]
)
def test_no_filter_is_dropped_silently(dialect: str, name: str) -> None:
    args, _ = (THUMBOR if dialect == "thumbor" else IMAGOR)[name]

    plans = [(filtered(dialect, start, name, args), filtered(dialect, start)) for start in starts(dialect, name)]

    assert name in IN_ALL_RESULTS[dialect] or any(plan != without for plan, without in plans)


@pytest.mark.parametrize(
    ("dialect", "name"),
    [
        *(("thumbor", name) for name, (args, _) in THUMBOR.items() if args),
        *(("imagor", name) for name, (args, _) in IMAGOR.items() if args),
    ],
)
def test_no_argument_of_a_filter_is_dropped_silently(dialect: str, name: str) -> None:
    first, other = (THUMBOR if dialect == "thumbor" else IMAGOR)[name]

    for args in changed(first, other):
        pairs = [
            (filtered(dialect, start, name, first), filtered(dialect, start, name, args))
            for start in starts(dialect, name)
        ]
        assert any(
            plan != others or plan == UNSUPPORTED or (isinstance(plan, RenderPlan) and names_it(plan, name))
            for plan, others in pairs
        ), args


# Pixmill's own


def _pipeline(algorithm: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"steps": [{"algorithm": algorithm}]}).encode()).decode().rstrip("=")


PRESETS = {name: {"steps": [{"algorithm": name}]} for name in ("blur", "grayscale")}
NATIVE: Mapping[str, tuple[str, str]] = {
    "exp": ("4102444800", "4102444801"),
    "p": ("blur", "grayscale"),
    "o": ("ann", "bob"),
    "j": (_pipeline("blur"), _pipeline("grayscale")),
    "w": ("10", "20"),
    "h": ("10", "20"),
    "f": ("webp", "png"),
    "q": ("50", "60"),
    "fn": ("cat", "dog"),
    "att": ("1", "0"),
    "age": ("60", "70"),
}


def test_every_option_of_our_own_has_a_sample() -> None:
    assert set(NATIVE) == set(native.OPTIONS)


@pytest.mark.parametrize("name", NATIVE)
def test_no_option_of_our_own_is_dropped_silently(name: str) -> None:
    preset = "p:blur/" if name == "o" else ""

    urls = [native.parse(f"/signature/{preset}{name}:{value}/42".encode()) for value in NATIVE[name]]

    first, other = ((native.preset_of(url), native.plan_of(url, PRESETS)) for url in urls)
    assert first != other
