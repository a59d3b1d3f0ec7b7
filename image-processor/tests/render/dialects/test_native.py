"""Pixmill's own URLs."""

import base64
import json

import pytest
from image_processor.render.dialects import native
from image_processor.render.plans.plan import DigestSource, FileSource, OriginSource, PlanSource, RenderPlan
from service_kit.errors import DomainError

from tests.support.images import opened, photo
from tests.support.plan_runs import rendered

PRESETS: dict[str, dict[str, object]] = {
    "small": {"steps": [{"algorithm": "resize", "params": {"width": 16}}], "output": {"format": "webp"}},
    "analysis": {"steps": [{"algorithm": "info"}]},
    "best": {"steps": [{"algorithm": "resize", "params": {"width": 16}}], "output": {"format": "auto"}},
    "exact": {"steps": [{"algorithm": "grayscale"}], "output": {"format": "auto", "lossless": True}},
}


def plan(path: str) -> RenderPlan:
    return native.plan_of(native.parse(f"/signature/{path}".encode()), PRESETS)


def pipeline(**parts: object) -> str:
    return "j:" + base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def test_a_pipeline_of_brackets_is_refused() -> None:
    brackets = base64.urlsafe_b64encode(b"[" * 9000).decode()

    with pytest.raises(DomainError, match="it is not JSON"):
        plan(f"j:{brackets}/42")


def test_a_preset() -> None:
    result = opened(rendered(plan("p:small/42"), photo(64, 48)))

    assert (result.size, result.format) == ((16, 12), "WEBP")


def test_a_pipeline() -> None:
    path = pipeline(
        steps=[{"algorithm": "resize", "params": {"width": 16}}, {"algorithm": "rotate", "params": {"angle": 90}}]
    )

    assert opened(rendered(plan(f"{path}/42"), photo(64, 48))).size == (12, 16)


def test_the_files_of_a_pipeline_are_named() -> None:
    path = pipeline(steps=[{"algorithm": "overlay", "params": {"file_id": 7}}])

    assert plan(f"{path}/42").files == ((7, FileSource(7)),)


def test_a_width_fits_the_result_of_a_preset() -> None:
    assert opened(rendered(plan("p:small/w:8/42"), photo(64, 48))).size == (8, 6)


@pytest.mark.parametrize(
    ("path", "format_name", "negotiated"),
    [
        ("42", "source", True),
        ("42.png", "png", False),
        ("f:avif/42", "avif", False),
        ("f:auto/42.png", "source", True),
        ("p:small/42", "webp", False),
        ("p:small/f:png/42", "png", False),
        ("42/cat.jpg", "jpeg", False),
        ("p:small/f:auto/42", "source", True),
        ("p:small/f:auto/42.png", "source", True),
        ("p:best/42", "source", True),
        ("p:best/42.png", "source", True),
        ("p:best/f:png/42", "png", False),
        ("p:best/f:auto/42", "source", True),
        (pipeline(steps=[{"algorithm": "blur"}], output={"format": "auto"}) + "/42", "source", True),
        (pipeline(steps=[{"algorithm": "convert", "params": {"format": "auto"}}]) + "/42", "source", True),
        (pipeline(steps=[{"algorithm": "blur"}], output={"format": "avif"}) + "/f:auto/42", "source", True),
    ],
)
def test_a_format(path: str, format_name: str, negotiated: bool) -> None:
    encoding = plan(path).encoding

    assert (encoding.output.format, encoding.negotiated) == (format_name, negotiated)


@pytest.mark.parametrize(("path", "negotiated"), [("42", False), ("f:auto/42", True), ("p:best/42", True)])
def test_a_client_that_chooses_no_format_on_its_own_chooses_the_best(path: str, negotiated: bool) -> None:
    plan = native.plan_of(native.parse(f"/signature/{path}".encode()), PRESETS, negotiated=False)

    assert plan.negotiated is negotiated


@pytest.mark.parametrize(("name", "lossless"), [("webp", True), ("avif", True), ("jpeg", False), ("gif", False)])
def test_the_best_format_is_lossless_if_it_can_be(name: str, lossless: bool) -> None:
    assert plan("p:exact/42").encoding.in_format(name).lossless is lossless


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("42", FileSource(42)),
        ("42/cat.jpg", FileSource(42)),
        ("ab" * 32, DigestSource("ab" * 32)),
        ("https%3A%2F%2Fexample.org%2Fa%20b.jpg", OriginSource("https://example.org/a b.jpg")),
    ],
)
def test_a_source(path: str, source: PlanSource) -> None:
    assert plan(path).source == source


def test_what_is_written_is_read() -> None:
    options = {"exp": "4102444800", "p": "small", "fn": "кот (1).webp", "att": "1"}

    read = native.parse(b"/signature/" + native.path_of("https://example.org/a b?c=1", options))

    assert read.options == options
    assert read.source == "https://example.org/a b?c=1"


def test_the_expiry_is_signed_and_judged() -> None:
    read = native.parse(b"/signature/exp:1000/42", now=999)

    assert read.signed == b"exp:1000/42"
    with pytest.raises(DomainError) as caught:
        native.parse(b"/signature/exp:1000/42", now=1000)
    assert caught.value.kind == "expired-render-url"


@pytest.mark.parametrize(
    "path",
    [
        "p:none/42",
        "p:small/j:e30/42",
        "j:*/42",
        "j:bm90IGpzb24/42",
        "j:WzFd/42",
        "f:xyz/42",
        "q:0/42",
        "q:x/42",
        "w:0/42",
        "p:small/p:small/42",
        "p:analysis/42",
    ],
)
def test_a_wrong_option_is_named(path: str) -> None:
    with pytest.raises(DomainError) as caught:
        plan(path)

    assert caught.value.kind == "bad-render-option"
    assert caught.value.errors[0]["pointer"] in path


def test_params_of_a_pipeline_are_checked_as_those_of_a_task() -> None:
    with pytest.raises(DomainError) as caught:
        plan(f"{pipeline(steps=[{'algorithm': 'resize', 'params': {'width': 'x'}}])}/42")

    assert caught.value.errors[0]["pointer"] == "/params/steps/0/params/width"


@pytest.mark.parametrize("target", [b"", b"/", b"/signature", b"/signature/", b"/signature/p:small/"])
def test_a_url_without_its_parts_is_refused(target: bytes) -> None:
    with pytest.raises(DomainError) as caught:
        native.parse(target)

    assert caught.value.kind == "bad-render-url"


def url(path: str) -> native.NativeUrl:
    return native.parse(f"/signature/{path}".encode())


@pytest.mark.parametrize(
    "path",
    ["w:300/f:jpeg/43", "w:300/f:jpeg/43.png", "w:300/44.png", "w:300/fn:cat/age:5/45", f"w:300/{'ab' * 32}.webp"],
)
def test_a_plan_from_a_recipe_is_the_same_plan(path: str) -> None:
    recipes = native.Recipes(negotiated=True)
    for known in ("w:300/f:jpeg/42", "w:300/f:jpeg/42.png", "w:300/42.png", "w:300/42", "w:300/42.webp"):
        recipes.plan(url(known))

    plan = recipes.plan(url(path))

    assert plan == native.plan_of(url(path), {})
    assert plan.digest() == native.plan_of(url(path), {}).digest()


def test_a_recipe_does_not_hide_a_wrong_option() -> None:
    recipes = native.Recipes(negotiated=True)
    recipes.plan(url("w:300/42"))

    with pytest.raises(DomainError) as raised:
        recipes.plan(url("w:300/age:soon/42"))

    assert raised.value.kind == "bad-render-option"


def test_a_recipe_is_read_once() -> None:
    recipes = native.Recipes(negotiated=True)

    first, second = (recipes.plan(url(f"w:300/exp:99999999999/{number}")) for number in (42, 43))

    assert first.steps is second.steps
