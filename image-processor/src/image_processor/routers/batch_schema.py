"""Builds the JSON Schema of a batch: one variant for each algorithm with its own params."""

from collections.abc import Mapping
from typing import TypedDict

from flask_openapi3 import APIBlueprint, Schema
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema
from service_kit.openapi import REFERENCE

from image_processor.algorithms.registry import Params, all_algorithms
from image_processor.services.catalog import PIPELINE_SUMMARY
from image_processor.services.codec.plan import MAX_STEPS, PIPELINE, task_params


class Variant(TypedDict):
    """The JSON Schema of an object that names an algorithm."""

    title: object
    type: str
    additionalProperties: bool
    required: list[str]
    properties: dict[str, object]


def batch_body(batch: type[BaseModel], blueprint: APIBlueprint) -> dict[str, object]:
    """Return the request body of a batch, and add the schemas that it refers to to the blueprint's components.

    :param batch: the model of the fields that all variants share.
    """
    chosen = ("algorithm", "params", "preset")
    shared = {name: field for name, field in batch.model_json_schema()["properties"].items() if name not in chosen}
    algorithms = all_algorithms().values()
    models = {task_params(algorithm) for algorithm in algorithms} | {algorithm.params for algorithm in algorithms}
    references, definitions = models_json_schema(
        [(model, "validation") for model in sorted(models, key=_order)], ref_template=REFERENCE
    )
    schemas: Mapping[object, object] = {model: reference for (model, _), reference in references.items()}
    # Only algorithms that change the image may be anywhere in a pipeline.
    steps = [
        _variant({"const": algorithm.name}, schemas[algorithm.params], optional=_is_optional(algorithm.params))
        for algorithm in algorithms
        if algorithm.changes_image
    ]
    components = {**definitions["$defs"], "Step": {"oneOf": steps}}
    blueprint.components_schemas.update({name: Schema(**schema) for name, schema in components.items()})
    variants = [
        _of_batch(
            shared,
            _variant(
                {"const": algorithm.name, "description": algorithm.summary},
                schemas[task_params(algorithm)],
                optional=_is_optional(task_params(algorithm)),
            ),
        )
        for algorithm in algorithms
    ]
    pipeline = _variant({"const": PIPELINE, "description": PIPELINE_SUMMARY}, pipeline_schema(), optional=False)
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"oneOf": [*variants, _of_batch(shared, pipeline), _preset_variant(shared)]}}
        },
    }


def _order(model: type[Params]) -> tuple[str, bool]:
    return model.__name__, "output" in model.model_fields


def _is_optional(params: type[Params]) -> bool:
    """Return whether every parameter has a default."""
    try:
        params.model_validate({})
    except ValidationError:
        return False
    return True


def _variant(algorithm: Mapping[str, object], params: object, *, optional: bool) -> Variant:
    """Return the schema of an object with an algorithm and its params, as in a step."""
    return {
        "title": algorithm["const"],
        "type": "object",
        "additionalProperties": False,
        "required": ["algorithm"] if optional else ["algorithm", "params"],
        "properties": {
            "algorithm": algorithm,
            "params": {"anyOf": [params, {"type": "null"}]} if optional else params,
        },
    }


def _of_batch(shared: Mapping[str, object], variant: Variant) -> dict[str, object]:
    """Return the variant extended by the fields of every batch."""
    return {
        **variant,
        "required": ["file_ids", *variant["required"]],
        "properties": {**variant["properties"], "preset": {"type": "null"}, **shared},
    }


def _preset_variant(shared: Mapping[str, object]) -> dict[str, object]:
    return {
        "title": "preset",
        "type": "object",
        "additionalProperties": False,
        "required": ["file_ids", "preset"],
        "properties": {
            **shared,
            "preset": {"type": "string", "minLength": 1, "maxLength": 64, "description": "A name from `presets`."},
        },
    }


def pipeline_schema() -> dict[str, object]:
    """Return the schema of a pipeline's params, which refers to the components of :func:`batch_body`."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["steps"],
        "properties": {
            "steps": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_STEPS,
                "items": {"$ref": REFERENCE.format(model="Step")},
            },
            "output": {"anyOf": [{"$ref": REFERENCE.format(model="Output")}, {"type": "null"}]},
            "source": {"anyOf": [{"$ref": REFERENCE.format(model="Source")}, {"type": "null"}]},
        },
    }
