"""Parsing of steps from the shell."""

import pytest
from pixmill.commands.steps_text import parsed, set_in


def test_steps_have_numbers_texts_and_parts_of_objects() -> None:
    steps = parsed(
        """resize width=800 fit=inside enlarge=true | border color=#fff | watermark mark.text="© me | you" """
    )

    assert [(step.name, step.as_json()) for step in steps.steps()] == [
        ("resize", {"width": 800, "fit": "inside", "enlarge": True}),
        ("border", {"color": "#fff"}),
        ("watermark", {"mark": {"text": "© me | you"}}),
    ]


def test_a_watermark_needs_no_mark() -> None:
    [step] = parsed("watermark text=© scale=40").steps()

    assert step.as_json() == {"mark": {"text": "©"}, "scale": 40}


@pytest.mark.parametrize("text", ["", "resize |", "| flip", "resize width", "resize =3", "blur 'x"])
def test_what_cannot_be_understood_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"step is missing|is not an assignment|cannot understand"):
        parsed(text)


def test_a_value_is_set_deep_in_a_document() -> None:
    document: dict[str, object] = {"width": 1}

    set_in(document, "output.format=webp")
    set_in(document, "output.quality=80")

    assert document == {"width": 1, "output": {"format": "webp", "quality": 80}}
    with pytest.raises(ValueError, match="has a value"):
        set_in(document, "width.x=1")
