"""The API uses American spelling, and still accepts the British names of its first version."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

import pytest
from image_processor.algorithms.registry import all_algorithms
from image_processor.imaging.output import Output, Report
from image_processor.imaging.source import Source
from image_processor.routers.batch_schema import batch_body
from image_processor.routers.tasks import TasksIn, tasks
from image_processor.services.codec.configured_presets import ConfiguredPresets
from image_processor.services.codec.plan import PIPELINE, Pipeline, plan_of, task_params
from image_processor.services.jobs.result_cache import cache_key
from pydantic import BaseModel
from service_kit.errors import DomainError

BRITISH = {"color": "colour", "center": "centre", "gray": "grey"}
AMERICAN_WORD = re.compile("|".join(BRITISH))
BRITISH_WORD = re.compile("|".join(BRITISH.values()), re.IGNORECASE)

Params = dict[str, object]

# Each parameter and each value with a British spelling.
RENAMED: list[tuple[str, Params]] = [
    ("border", {"color": "#ff0000"}),
    ("tint", {"color": "#ff0000"}),
    ("vignette", {"color": "#ff0000"}),
    ("watermark", {"mark": {"text": "©", "color": "#ff0000"}}),
    ("watermark", {"mark": {"text": "©"}, "gravity": "center"}),
    ("convert", {"colors": 16}),
    ("crop", {"width": 10, "gravity": "center"}),
    ("extend", {"width": 10, "gravity": "center"}),
    ("resize", {"width": 10, "gravity": "center"}),
    ("thumbnail", {"gravity": "center"}),
    ("overlay", {"file_id": 2, "gravity": "center"}),
    ("overlay", {"file_id": 2, "blend": "color-dodge"}),
    ("overlay", {"file_id": 2, "blend": "color-burn"}),
    ("to_colorspace", {"space": "gray"}),
    ("gradient", {"color": "#ff0000"}),
    ("colorize", {"color": "#ff0000"}),
    ("monochrome", {"color": "#ff0000"}),
    ("stamp", {"file_id": 2, "gravity": "center"}),
    ("stamp", {"file_id": 2, "blend": "color-dodge"}),
    ("stamp", {"file_id": 2, "blend": "color-burn"}),
]


def in_british(params: Params) -> Params:
    text = AMERICAN_WORD.sub(lambda found: BRITISH[found[0]], json.dumps(params))
    return cast("Params", json.loads(text))


def as_step(algorithm: str, params: Params, colors: str = "colors") -> Params:
    return {"steps": [{"algorithm": algorithm, "params": params}], "output": {colors: 5}}


def spelled(schema: object) -> Iterator[str]:
    """Return the names of the fields in a JSON Schema, and the values that it lists."""
    if isinstance(schema, Mapping):
        properties = schema.get("properties", {})
        yield from properties
        yield from (str(value) for value in [*schema.get("enum", ()), schema.get("const", "")])
        for name, part in schema.items():
            if name not in ("default", "description", "examples", "pattern", "title", "required", "enum", "const"):
                yield from spelled(list(part.values()) if name in ("properties", "$defs") else part)
    elif isinstance(schema, list):
        for part in schema:
            yield from spelled(part)


def schemas() -> Iterator[tuple[str, object]]:
    models: dict[str, type[BaseModel]] = {"output": Output, "source": Source, "pipeline": Pipeline}
    for algorithm in all_algorithms().values():
        models[algorithm.name] = task_params(algorithm)
        if issubclass(algorithm.gives, Report):
            models[f"{algorithm.name}'s result"] = algorithm.gives
    for name, model in models.items():
        for mode in ("validation", "serialization"):
            yield f"{name}, {mode}", model.model_json_schema(mode=mode)
    yield "batch", batch_body(TasksIn, tasks)
    yield (
        "components",
        {name: schema.model_dump(exclude_none=True) for name, schema in (tasks.components_schemas or {}).items()},
    )


@pytest.mark.slow
def test_no_schema_has_a_british_name() -> None:
    found = {name: [word for word in spelled(schema) if BRITISH_WORD.search(word)] for name, schema in schemas()}

    assert len(found) > len(all_algorithms())
    assert {name: words for name, words in found.items() if words} == {}


def test_each_american_name_of_the_parameters_is_tried_below() -> None:
    there = {
        (algorithm.name, word)
        for algorithm in all_algorithms().values()
        for word in spelled(algorithm.params.model_json_schema())
        if AMERICAN_WORD.search(word)
    }

    tried = {
        (algorithm, word)
        for algorithm, params in RENAMED
        for word in re.findall(r'"([\w-]+)"', json.dumps(params))
        if AMERICAN_WORD.search(word)
    }
    assert tried == there


@pytest.mark.parametrize(("algorithm", "params"), RENAMED)
def test_a_british_name_gives_the_same_plan_and_the_same_cached_result(algorithm: str, params: Params) -> None:
    plan, british = plan_of(algorithm, params), plan_of(algorithm, in_british(params))

    assert plan == british
    assert cache_key("local", plan, ["source", "file"]) == cache_key("local", british, ["source", "file"])


@pytest.mark.parametrize(("algorithm", "params"), RENAMED)
def test_a_british_name_is_accepted_in_steps_and_presets(algorithm: str, params: Params) -> None:
    pipeline, british = as_step(algorithm, params), as_step(algorithm, in_british(params), "colours")

    assert plan_of(PIPELINE, pipeline) == plan_of(PIPELINE, british)
    assert ConfiguredPresets({"old": british})["old"] == british


@pytest.mark.parametrize(
    ("algorithm", "params", "pointer", "name"),
    [
        ("tint", {"color": "red", "colour": "red"}, "/params", "color"),
        ("flip", {"output": {"colors": 5, "colours": 5}}, "/params/output", "color"),
        ("watermark", {"mark": {"text": "©", "color": "red", "colour": "red"}}, "/params/mark", "color"),
        (PIPELINE, as_step("border", {"color": "red", "colour": "blue"}), "/params/steps/0/params", "color"),
    ],
)
def test_both_spellings_at_once_are_refused(algorithm: str, params: Params, pointer: str, name: str) -> None:
    with pytest.raises(DomainError) as refused:
        plan_of(algorithm, params)

    [wrong] = refused.value.errors
    assert wrong["pointer"] == pointer
    assert f"`{name}" in wrong["detail"]
    assert f"`{BRITISH[name]}" in wrong["detail"]


@pytest.mark.parametrize(
    ("params", "pointer"),
    [({"color": "x"}, "/params/color"), ({"colour": "x"}, "/params/colour"), ({}, "/params/color")],
)
def test_an_error_names_what_was_sent_or_else_the_american_name(params: Params, pointer: str) -> None:
    with pytest.raises(DomainError) as refused:
        plan_of("tint", params)

    assert [wrong["pointer"] for wrong in refused.value.errors] == [pointer]
