"""The client's params match the registry."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from image_processor.algorithms.registry import all_algorithms
from pixmill.steps import Step

from pixmill import params

PACKAGE = Path(__file__).parents[1]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("params_script", PACKAGE / "scripts/params.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_module_is_what_the_registry_generates() -> None:
    assert (PACKAGE / "src/pixmill/params.py").read_text("utf-8") == script().text(), "run: make docs"


@pytest.mark.parametrize("name", sorted(all_algorithms()))
def test_the_example_of_each_algorithm_is_valid_when_it_is_sent(name: str) -> None:
    algorithm = all_algorithms()[name]
    step = getattr(params, name.title().replace("_", ""))(**algorithm.example)

    sent = step.as_json()

    assert isinstance(step, Step)
    assert algorithm.params.model_validate(sent) == algorithm.params.model_validate(algorithm.example)
