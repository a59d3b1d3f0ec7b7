"""The size of an SVG, read from its root element."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_kit.svg_header import root_size, svg_size


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ({"width": "40", "height": "20"}, (40, 20)),
        ({"width": "40.5", "height": "20.4px"}, (41, 20)),
        ({"width": " 1.5e1 ", "height": "+.2"}, (15, 1)),
        ({"width": "72pt", "height": "6pc"}, (96, 96)),
        ({"width": "101.6Q", "height": "2EM"}, (96, 32)),
        ({"width": "60", "viewBox": "0 0 30,15"}, (60, 30)),
        ({"height": "30", "viewBox": "-5 -5 30 15"}, (60, 30)),
        ({"width": "100%", "height": "100%", "viewBox": "0 0 30 15"}, (30, 15)),
        ({"width": "auto"}, (300, 150)),
        ({"viewBox": "0 0 0 15"}, (300, 150)),
        ({"width": "0", "height": "20"}, None),
        ({"width": "1e300", "height": "20"}, None),
    ],
)
def test_the_size_is_that_of_a_browser(attributes: dict[str, str], size: tuple[int, int] | None) -> None:
    assert svg_size(attributes) == size


def test_the_root_element_suffices() -> None:
    assert root_size(b"<!-- x --><svg width='3' height='4'><g") == (3, 4)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_any_encoding_of_unicode_is_read(encoding: str) -> None:
    assert root_size("<svg width='3' height='4' id='ж'/>".encode(encoding)) == (3, 4)


@given(st.text(alphabet="<>svg/ \"'=width0123456789e.%-!?[]&;#x"))
def test_no_text_raises_an_error(text: str) -> None:
    size = root_size(f"<svg {text}".encode())

    assert size is None or min(size) > 0
