"""The canonical form of a plan: equal for equal results, different for different ones."""

import pytest
from image_processor.imaging.output import QUICKEST, Output
from image_processor.render.dialects import native
from image_processor.render.dialects.imagor import plan as imagor_plan
from image_processor.render.dialects.imagor import url as imagor_url
from image_processor.render.dialects.imgproxy import url as imgproxy_url
from image_processor.render.dialects.imgproxy.plan import plan_of as plan_of_imgproxy
from image_processor.render.dialects.thumbor import plan as thumbor_plan
from image_processor.render.dialects.thumbor import url as thumbor_url
from image_processor.render.plans.plan import FORM, Encoding, OriginSource, RenderPlan

KNOWN = "85c3d4588beeee8e11f3bb0fa412c73ba84e725f0f8562542ffd159e6ecdb4da"
"""The digest of `w:1`."""


def of_imgproxy(options: str) -> RenderPlan:
    url = imgproxy_url.parse(f"/_/{options}/plain/42".encode(), imgproxy_url.Grammar())
    return plan_of_imgproxy(url.source, url.options)


def of_thumbor(path: str) -> RenderPlan:
    return thumbor_plan.plan_of(thumbor_url.parse(f"/unsafe/{path}".encode()))


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("rs:fill:300:200", "resize:fill:300:200:0"),
        ("w:300/h:200", "h:200/w:300"),
        ("w:300", "w:100/w:300"),
        ("w:300", "w:300/cb:123"),
        ("w:300", "w:300/fn:cat/att:1"),
        ("w:300", "w:300/exp:4102444800"),
        ("rot:450", "rot:90"),
        ("w:300", "w:300/dpr:1"),
    ],
)
def test_urls_with_the_same_result_have_the_same_digest(first: str, other: str) -> None:
    assert of_imgproxy(first).digest() == of_imgproxy(other).digest()


@pytest.mark.parametrize(
    "other",
    ["w:301", "w:300/el:1", "w:300/q:50", "w:300/bl:2", "w:300/f:png", "w:300/ar:0", "w:300/sm:0", "w:300/raw:1"],
)
def test_urls_with_other_results_have_other_digests(other: str) -> None:
    assert of_imgproxy("w:300").digest() != of_imgproxy(other).digest()


def test_the_digest_does_not_change_between_versions_unnoticed() -> None:
    digest = of_imgproxy("w:1").digest()

    # If this changes, the canonical form has changed: increase FORM.
    assert digest == KNOWN
    assert FORM == 3


def test_a_source_may_have_a_name_of_other_bytes_than_utf_8() -> None:
    plans = [
        thumbor_plan.plan_of(thumbor_url.parse(b"/unsafe/meta/https://a.example/" + name))
        for name in (b"\xfe", b"\xff")
    ]

    assert plans[0].digest() != plans[1].digest()


def test_the_digest_does_not_depend_on_the_source() -> None:
    first, other = (of_thumbor(f"300x200/smart/filters:blur(3)/{number}") for number in (42, 43))

    assert first.digest() == other.digest()


def test_the_key_depends_on_the_bytes_of_the_source_and_its_marks_and_on_the_format_and_the_engine() -> None:
    plan = of_thumbor("filters:watermark(7,0,0,50)/42")

    keys = {
        plan.key("a", {7: "b"}, "webp", "1"),
        plan.key("x", {7: "b"}, "webp", "1"),
        plan.key("a", {7: "x"}, "webp", "1"),
        plan.key("a", {7: "b"}, "avif", "1"),
        plan.key("a", {7: "b"}, "webp", "2"),
    }

    assert len(keys) == 5


def test_marks_of_other_servers_have_ids_that_no_file_has() -> None:
    plan = of_thumbor("filters:watermark(https%3A%2F%2Fexample.org%2Fm.png,0,0,50)/42")

    ((number, source),) = plan.files

    assert number >= 2**62
    assert source == OriginSource("https://example.org/m.png")


@pytest.mark.parametrize(
    ("format_name", "qualities"),
    [
        ("jpeg", {"thumbor": 80, "imagor": 75, "imgproxy": 80}),
        ("webp", {"thumbor": 80, "imagor": 75, "imgproxy": 79}),
        ("avif", {"thumbor": 80, "imagor": 75, "imgproxy": 63}),
    ],
)
def test_each_dialect_has_its_peer_s_quality(format_name: str, qualities: dict[str, int]) -> None:
    plans = {
        "thumbor": of_thumbor("42"),
        "imagor": imagor_plan.plan_of(imagor_url.parse(b"/unsafe/42")),
        "imgproxy": of_imgproxy("w:1"),
    }

    made = {name: plan.encoding.in_format(format_name).quality for name, plan in plans.items()}

    assert made == qualities


@pytest.mark.parametrize(("format_name", "effort"), [("avif", 1), ("png", QUICKEST), ("source", QUICKEST)])
def test_little_effort_is_made_as_somebody_waits(format_name: str, effort: int) -> None:
    assert of_imgproxy("w:1").encoding.in_format(format_name).effort == effort


def test_the_effort_that_a_plan_names_is_made() -> None:
    encoding = Encoding(Output(format="png", effort=7))

    assert encoding.in_format("png").effort == 7


def test_pixmill_s_own_urls_have_its_own_quality() -> None:
    plan = native.plan_of(native.parse(b"/s/42"), {})

    assert plan.encoding.in_format("jpeg").quality is None


@pytest.mark.parametrize(
    ("plan", "metadata", "profile"),
    [
        (of_thumbor("42"), "strip", "keep"),
        (imagor_plan.plan_of(imagor_url.parse(b"/unsafe/42")), "keep", "keep"),
        (of_imgproxy("w:1"), "copyright", "strip"),
        (of_imgproxy("kcr:0"), "strip", "strip"),
        (of_imgproxy("sm:0/scp:0"), "keep", "keep"),
    ],
)
def test_each_dialect_keeps_the_metadata_that_its_peer_keeps(plan: RenderPlan, metadata: str, profile: str) -> None:
    assert (plan.encoding.output.metadata, plan.encoding.output.profile) == (metadata, profile)


@pytest.mark.parametrize(
    ("plan", "upright"),
    [
        (of_thumbor("42"), False),
        (imagor_plan.plan_of(imagor_url.parse(b"/unsafe/42")), True),
        (of_imgproxy("w:1"), True),
    ],
)
def test_each_dialect_turns_images_upright_as_its_peer_does(plan: RenderPlan, upright: bool) -> None:
    assert plan.reading.upright == upright


@pytest.mark.parametrize(
    ("dialect", "path", "negotiated"),
    [
        ("imgproxy", "w:300", True),
        ("imgproxy", "w:300/raw:1", False),
        ("imgproxy", "w:300/f:best", True),
        ("imgproxy", "w:300/f:png", False),
        ("thumbor", "300x200/42", True),
        ("thumbor", "meta/300x200/42", False),
        ("thumbor", "300x200/filters:format(png)/42", False),
        ("imagor", "300x200/42", True),
        ("imagor", "meta/300x200/42", False),
        ("imagor", "300x200/filters:raw()/42", False),
        ("imagor", "300x200/filters:format(png)/42", False),
    ],
)
def test_a_client_negotiates_only_the_format_of_an_image(dialect: str, path: str, negotiated: bool) -> None:
    match dialect:
        case "imgproxy":
            url = imgproxy_url.parse(f"/_/{path}/plain/42".encode(), imgproxy_url.Grammar())
            plan = plan_of_imgproxy(url.source, url.options, negotiated=True)
        case "thumbor":
            defaults = thumbor_plan.ThumborDefaults(negotiated=True)
            plan = thumbor_plan.plan_of(thumbor_url.parse(f"/unsafe/{path}".encode()), defaults)
        case _:
            of_imagor = imagor_plan.ImagorDefaults(negotiated=True)
            plan = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/{path}".encode()), of_imagor)

    assert plan.negotiated is negotiated


@pytest.mark.parametrize("limit", [{"max_bytes": 1000}, {"min_ssim": 0.9}])
def test_a_limit_of_the_format_auto_refuses_no_client_its_image(limit: dict[str, object]) -> None:
    encoding = Encoding.by_url(Output.model_validate({"format": "auto", **limit}), chosen_by_client=False)

    outputs = {name: encoding.in_format(name) for name in ("avif", "webp", "jpeg", "png", "gif", "tiff")}

    limited = {name for name, output in outputs.items() if output.max_bytes or output.min_ssim}
    assert limited == {"avif", "webp", "jpeg"}


@pytest.mark.parametrize(
    ("limits", "quality"),
    [
        ({"max_bytes": 1000}, 1),
        ({"min_ssim": 0.9}, 100),
        ({"min_ssim": 0.9, "quality": 60}, 60),
        ({"min_ssim": 0.9, "max_bytes": 1000}, None),
    ],
)
def test_a_limit_that_no_quality_meets_is_dropped(limits: dict[str, object], quality: int | None) -> None:
    encoding = Encoding.by_url(Output.model_validate({"format": "auto", **limits}), chosen_by_client=False)

    unlimited = encoding.without_limit()

    assert unlimited is not None
    output = unlimited.in_format("avif")
    assert (output.max_bytes, output.min_ssim, output.quality) == (None, None, quality)
