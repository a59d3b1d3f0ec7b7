"""CSS colors, compared with resvg's own CSS parser and the examples of CSS Color 4."""

import io
import re

import numpy
import pytest
import resvg_py
from image_processor.algorithms.border import BorderParams
from image_processor.imaging.color import rgba
from image_processor.imaging.css_colors import NAMES, PATTERN, canonical
from image_processor.services.codec.plan import plan_of
from PIL import Image
from service_kit.errors import DomainError

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened


def as_resvg_paints(color: str) -> list[int]:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"><path fill="{color}" d="M0 0h2v2H0z"/></svg>'
    painted = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg))))
    return [int(value) for value in numpy.asarray(painted.convert("RGBA"))[0, 0]]


def test_a_name_is_the_color_that_an_svg_renderer_paints() -> None:
    of_svg = sorted(NAMES.keys() - {"rebeccapurple"})  # newer than SVG's list

    assert {name: list(rgba(canonical(name))) for name in of_svg} == {name: as_resvg_paints(name) for name in of_svg}


def test_css_has_148_names_and_transparent() -> None:
    assert len(NAMES) == 149


@pytest.mark.parametrize(
    "color",
    [
        "#f80",
        "#ff8800",
        "#FF8800",
        "rgb(255, 136, 0)",
        "rgb(255,136,0)",
        "RGB( 255 , 136 , 0 )",
        "rgb(255 136 0)",
        "rgb(100%, 50%, 0%)",
        "rgb(300, 136, -5)",
        "hsl(30, 100%, 50%)",
        "hsla(200, 10%, 90%, 1)",
        "  White ",
        "GREY",
    ],
)
def test_a_form_of_css_is_the_color_that_an_svg_renderer_paints(color: str) -> None:
    painted = as_resvg_paints(color.strip())

    assert numpy.abs(numpy.subtract(rgba(canonical(color)), painted)).max() <= 1


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ("RebeccaPurple", (102, 51, 153, 255)),
        ("hsl(390deg 100% 25%)", (128, 64, 0, 255)),
        ("hsl(0.5turn, 40%, 60%)", (112, 194, 194, 255)),
        ("#f808", (255, 136, 0, 136)),
        ("#ff880080", (255, 136, 0, 128)),
        ("rgba(255, 136, 0, 0.5)", (255, 136, 0, 128)),
        ("rgba(255, 136, 0, .5)", (255, 136, 0, 128)),
        ("rgba(255, 136, 0, 50%)", (255, 136, 0, 128)),
        ("rgb(255 136 0 / 50%)", (255, 136, 0, 128)),
        ("rgb(255 136 0/0)", (255, 136, 0, 0)),
        ("hsl(120 100% 25% / 0.2)", (0, 128, 0, 51)),
        ("transparent", (0, 0, 0, 0)),
        ("Transparent", (0, 0, 0, 0)),
        ("rgba(1, 2, 3, 7)", (1, 2, 3, 255)),
    ],
)
def test_forms_that_svg_renderers_do_not_know_follow_css(color: str, expected: tuple[int, ...]) -> None:
    assert rgba(canonical(color)) == expected


def test_an_error_about_a_color_says_how_colors_are_written() -> None:
    with pytest.raises(DomainError) as refused:
        plan_of("border", {"color": "whiteish"})

    (wrong,) = refused.value.errors
    assert wrong["pointer"] == "/params/color"
    assert wrong["detail"].startswith("'whiteish' is not a color. Colors are written as in CSS: a name such as 'white'")
    assert "#rrggbbaa" in wrong["detail"]
    assert "rgb(255 0 0 / 50%)" in wrong["detail"]


@pytest.mark.parametrize("color", ["ffffff", "FFF", "12345678"])
def test_a_missing_number_sign_is_pointed_out(color: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"did you mean '#{color}'?")):
        canonical(color)


@pytest.mark.parametrize(
    "color",
    [
        "",
        "#",
        "#12345",
        "#ggg",
        "rgb()",
        "rgb(1,2)",
        "rgb(1 2 3 4)",
        "rgb(1,2,3,4,5)",
        "rgb(1,2,x)",
        "rgb(1,,2)",
        "rgb(1deg,2,3)",
        "hsl(1%,2%,3%)",
        "hsl(1, 2deg, 3%)",
        "rgb(1,2,3,4deg)",
        "currentcolor",
        "red;",
        "rgb(1 2 3 /)",
    ],
)
def test_a_color_that_css_does_not_have_is_refused(color: str) -> None:
    with pytest.raises(ValueError, match="is not a color"):
        canonical(color)


def test_a_named_color_is_painted() -> None:
    source = encoded(Image.new("RGB", (8, 8), "white"), "PNG")

    result = opened(processed(source, "border", {"width": 2, "color": "Tomato"}))

    assert result.getpixel((0, 0)) == (255, 99, 71)


@pytest.mark.parametrize("color", ["tomato", "#FF6347", "rgb(255, 99, 71)", "hsl(9, 100%, 64%)"])
def test_all_forms_of_a_color_give_the_same_plan(color: str) -> None:
    assert plan_of("border", {"color": color}).identity() == plan_of("border", {"color": "#ff6347"}).identity()


def test_the_schema_says_how_colors_are_written() -> None:
    described = BorderParams.model_json_schema()["properties"]["color"]

    assert described["pattern"] == PATTERN
    for color in ("#fff", "#ffffff80", "white", "transparent", "rgb(1, 2, 3)", "rgba(1,2,3,.5)", "rgb(1 2 3 / 5%)"):
        assert re.search(described["pattern"], color), color
    assert not re.search(described["pattern"], "whiteish")
