"""Steps, and the requests that they produce."""

import pytest
from pixmill.params import Custom, FocalPoint, Output, Resize, Source, TextMark, Watermark
from pixmill.steps import request_of


def test_a_step_is_an_algorithm_with_the_params_that_were_given() -> None:
    request = request_of(Resize(width=800, focal=FocalPoint(x=0.5, y=0)), preset=None, params=None, ends={})

    assert request == {"algorithm": "resize", "params": {"width": 800, "focal": {"x": 0.5, "y": 0}}}


def test_steps_are_a_pipeline_with_its_output_and_source() -> None:
    steps = Resize(width=800) | Custom("polaroid", {"tilt": 5}) | Watermark(text="©", bold=True)
    ends = {"output": Output(format="webp"), "source": Source(page=2)}

    request = request_of(steps, preset=None, params=None, ends=ends)

    assert request == {
        "algorithm": "pipeline",
        "params": {
            "steps": [
                {"algorithm": "resize", "params": {"width": 800}},
                {"algorithm": "polaroid", "params": {"tilt": 5}},
                {"algorithm": "watermark", "params": {"mark": {"text": "©", "bold": True}}},
            ],
            "output": {"format": "webp"},
            "source": {"page": 2},
        },
    }


def test_a_mark_may_be_given_as_an_object_too() -> None:
    assert Watermark(mark=TextMark(text="©")).as_json() == Watermark(text="©").as_json()


def test_an_algorithm_may_be_named() -> None:
    request = request_of("blur", preset=None, params={"radius": 2}, ends={})

    assert request == {"algorithm": "blur", "params": {"radius": 2}}


@pytest.mark.parametrize(("what", "preset"), [(None, None), ("flip", "web")])
def test_either_steps_or_a_preset_is_given(what: str | None, preset: str | None) -> None:
    with pytest.raises(ValueError, match="either"):
        request_of(what, preset=preset, params=None, ends={})
