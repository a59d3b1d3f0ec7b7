"""Client hints applied to the plans of Pixmill's own URLs."""

from collections.abc import Callable

import pytest
from image_processor.imaging.output import DEFAULT_QUALITY
from image_processor.render.dialects import native
from image_processor.render.dialects.imagor import plan as imagor_plan
from image_processor.render.dialects.imagor import url as imagor_url
from image_processor.render.dialects.imgproxy import url as imgproxy_url
from image_processor.render.dialects.imgproxy.plan import plan_of
from image_processor.render.dialects.thumbor import plan as thumbor_plan
from image_processor.render.dialects.thumbor import url as thumbor_url
from image_processor.render.plans.plan import RenderPlan
from image_processor.render.routers.hints import hinted
from starlette.datastructures import Headers


def plan(options: str = "") -> RenderPlan:
    return native.plan_of(native.parse(f"/signature/{options}42".encode()), {})


def of_imgproxy(options: str) -> RenderPlan:
    url = imgproxy_url.parse(f"/signature/{options.rstrip('/')}/plain/42".encode(), imgproxy_url.Grammar())
    return plan_of(url.source, url.options)


def test_without_hints_a_plan_stays_the_same() -> None:
    assert hinted(plan(), Headers()) == plan()


def test_save_data_lowers_the_quality() -> None:
    changed = hinted(plan("q:70/"), Headers({"Save-Data": "on"}))

    assert changed.encoding.output.quality == 50


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif", "png", "gif"])
@pytest.mark.parametrize("made", [plan(), of_imgproxy("w:0")])
def test_save_data_lowers_the_quality_of_each_format_by_20(made: RenderPlan, name: str) -> None:
    usual = made.encoding.in_format(name).quality or DEFAULT_QUALITY.get(name)

    changed = hinted(made, Headers({"Save-Data": "on"}))

    # PNG and GIF have no quality: with one, they would lose colors.
    assert changed.encoding.in_format(name).quality == (usual - 20 if usual else None)


@pytest.mark.parametrize(("asked", "sent"), [(100, 80), (50, 30), (45, 30), (31, 30), (30, 30), (29, 29), (1, 1)])
@pytest.mark.parametrize("read", [plan, of_imgproxy])
def test_save_data_never_raises_a_quality(read: Callable[[str], RenderPlan], asked: int, sent: int) -> None:
    changed = hinted(read(f"q:{asked}/"), Headers({"Save-Data": "on"}))

    assert changed.encoding.in_format("jpeg").quality == sent


def test_save_data_lowers_the_quality_of_the_best_format() -> None:
    changed = hinted(of_imgproxy("f:best"), Headers({"Save-Data": "on"}))

    qualities = [changed.encoding.in_format(name).quality for name in ("webp", "avif")]
    assert qualities == [79 - 20, 63 - 20]


def test_hints_do_not_change_a_source_that_is_sent_as_it_is() -> None:
    made = of_imgproxy("raw:1")

    assert hinted(made, Headers({"Save-Data": "on", "Sec-CH-Width": "320"})) == made


def test_a_width_narrows_a_picture() -> None:
    changed = hinted(plan(), Headers({"Sec-CH-Width": "320"}))

    assert changed.digest() == plan("w:320/").digest()


def test_the_size_in_the_url_counts_more_than_a_hint() -> None:
    assert hinted(plan("w:100/"), Headers({"Sec-CH-Width": "320"})) == plan("w:100/")


@pytest.mark.parametrize(
    ("made", "sized"),
    [
        (thumbor_plan.plan_of(thumbor_url.parse(b"/unsafe/300x200/42")), True),
        (thumbor_plan.plan_of(thumbor_url.parse(b"/unsafe/filters:proportion(0.5)/42")), True),
        (thumbor_plan.plan_of(thumbor_url.parse(b"/unsafe/filters:grayscale()/42")), False),
        (imagor_plan.plan_of(imagor_url.parse(b"/unsafe/fit-in/300x200/42")), True),
        (imagor_plan.plan_of(imagor_url.parse(b"/unsafe/42")), False),
        (of_imgproxy("rs:fill:300:200"), True),
        (of_imgproxy("zoom:0.5"), True),
        (of_imgproxy("q:50"), False),
    ],
)
def test_the_size_in_the_url_of_a_peer_counts_more_than_a_hint(made: RenderPlan, sized: bool) -> None:
    assert (hinted(made, Headers({"Sec-CH-Width": "100"})) == made) is sized


def test_a_width_that_is_not_a_number_changes_nothing() -> None:
    for text in ("0", "-1", "1e3", "9999999999", "²"):
        assert hinted(plan(), Headers({"Sec-CH-Width": text})) == plan()
