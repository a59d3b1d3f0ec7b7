"""Params nested more deeply than Python can recurse."""

import pytest
from image_processor.services.codec.plan import plan_of
from service_kit.errors import DomainError


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [500, 900, 100_000])
def test_params_nested_too_deep_are_a_wrong_field(levels: int) -> None:
    with pytest.raises(DomainError, match="nested more than 32 levels deep"):
        plan_of("resize", {"width": nested(levels)})


def test_a_step_of_a_pipeline_nested_too_deep_is_a_wrong_field() -> None:
    steps = [{"algorithm": "resize", "params": {"width": nested(900)}}]

    with pytest.raises(DomainError, match="nested more than 32 levels deep"):
        plan_of("pipeline", {"steps": steps})


def test_whole_numbers_inside_lists_are_integers() -> None:
    plan = plan_of("resize", {"width": 20.0})

    assert plan.steps[0][1].model_dump()["width"] == 20
