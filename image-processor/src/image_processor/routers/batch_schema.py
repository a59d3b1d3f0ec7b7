"""The JSON Schema of a batch: one variant for each algorithm, as its params are its own."""

from collections.abc import Iterator, Mapping

from flask_openapi3 import APIBlueprint, Schema
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from image_processor.algorithms.registry import Algorithm, Params, all_algorithms
from image_processor.services.plan import MAX_STEPS, PIPELINE, task_params

REFERENCE = "#/components/schemas/{model}"


def batch_body(batch: type[BaseModel], blueprint: APIBlueprint) -> dict[str, object]:
    """The request body of a batch; the schemas that it refers to are added to the blueprint's components.

    :param batch: the model that has what all variants share.
    """
    shared = batch.model_json_schema()["properties"]
    algorithms = all_algorithms().values()
    models = {task_params(one) for one in algorithms} | {one.params for one in algorithms}
    references, definitions = models_json_schema(
        [(model, "validation") for model in sorted(models, key=_order)], ref_template=REFERENCE
    )
    schemas: Mapping[object, object] = {model: reference for (model, _), reference in references.items()}
    components = {**definitions["$defs"], "Step": {"oneOf": list(_steps(schemas))}}
    blueprint.components_schemas.update({name: Schema(**schema) for name, schema in components.items()})
    variants = [
        _variant(one.name, one.summary, schemas[task_params(one)], shared, optional=_is_optional(task_params(one)))
        for one in algorithms
    ]
    pipeline = _variant(PIPELINE, PIPELINE_SUMMARY, _pipeline_schema(), shared, optional=False)
    return {
        "required": True,
        "content": {"application/json": {"schema": {"oneOf": [*variants, pipeline, _preset_variant(shared)]}}},
    }


PIPELINE_SUMMARY = (
    "Several algorithms, one after the other, on an image that is decoded and encoded once. The last may also be an "
    "analysis, `tile`, or one that only encodes."
)


def _order(model: type[Params]) -> tuple[str, bool]:
    return model.__name__, "output" in model.model_fields


def _is_optional(params: type[Params]) -> bool:
    """Whether every parameter has a default."""
    schema = params.model_json_schema()
    return not schema.get("required") and not schema.get("anyOf")


def _variant(
    name: str, summary: str, schema: object, shared: Mapping[str, object], *, optional: bool
) -> dict[str, object]:
    return {
        "title": name,
        "type": "object",
        "additionalProperties": False,
        "required": ["file_ids", "algorithm"] if optional else ["file_ids", "algorithm", "params"],
        "properties": {
            "algorithm": {"const": name, "description": summary},
            "params": {"anyOf": [schema, {"type": "null"}]} if optional else schema,
            "preset": {"type": "null"},
            **{key: value for key, value in shared.items() if key not in ("algorithm", "params", "preset")},
        },
    }


def _preset_variant(shared: Mapping[str, object]) -> dict[str, object]:
    return {
        "title": "preset",
        "type": "object",
        "additionalProperties": False,
        "required": ["file_ids", "preset"],
        "properties": {
            **{key: value for key, value in shared.items() if key not in ("algorithm", "params", "preset")},
            "preset": {"type": "string", "minLength": 1, "maxLength": 64, "description": "A name from `presets`."},
        },
    }


def _pipeline_schema() -> dict[str, object]:
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
        },
    }


def _steps(schemas: Mapping[object, object]) -> Iterator[dict[str, object]]:
    """What may stand anywhere in a pipeline: the algorithms that change an image."""
    for one in all_algorithms().values():
        if one.changes_image:
            yield _step(one, schemas[one.params])


def _step(one: Algorithm, schema: object) -> dict[str, object]:
    optional = _is_optional(one.params)
    return {
        "title": one.name,
        "type": "object",
        "additionalProperties": False,
        "required": ["algorithm"] if optional else ["algorithm", "params"],
        "properties": {
            "algorithm": {"const": one.name},
            "params": {"anyOf": [schema, {"type": "null"}]} if optional else schema,
        },
    }
