"""Client hints applied to the plans of Pixmill's own URLs."""

from image_processor.render.dialects import native
from image_processor.render.hints import hinted
from image_processor.render.plan import RenderPlan
from starlette.datastructures import Headers


def plan(options: str = "") -> RenderPlan:
    return native.plan_of(native.parse(f"/signature/{options}42".encode()), {})


def test_without_hints_a_plan_stays_the_same() -> None:
    assert hinted(plan(), Headers()) == plan()


def test_save_data_lowers_the_quality() -> None:
    changed = hinted(plan("q:70/"), Headers({"Save-Data": "on"}))

    assert changed.encoding.output.quality == 50


def test_a_width_narrows_a_picture() -> None:
    changed = hinted(plan(), Headers({"Sec-CH-Width": "320"}))

    assert changed.digest() == plan("w:320/").digest()


def test_the_size_in_the_url_counts_more_than_a_hint() -> None:
    assert hinted(plan("w:100/"), Headers({"Sec-CH-Width": "320"})) == plan("w:100/")


def test_a_width_that_is_not_a_number_changes_nothing() -> None:
    for text in ("0", "-1", "1e3", "9999999999", "²"):
        assert hinted(plan(), Headers({"Sec-CH-Width": text})) == plan()
