"""Describes the algorithms: translated names and texts, and JSON schemas of the params with hints for forms.

The hints for a form are in a parameter's ``x-pixmill``, which validators ignore.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from service_kit.languages import Language, translated

from image_processor.algorithms.registry import Algorithm, all_algorithms
from image_processor.imaging.params import HINTS
from image_processor.services.codec.plan import PIPELINE, Pipeline, task_params

Json = dict[str, object]

PIPELINE_SUMMARY = (
    "Several algorithms in sequence on an image that is decoded and encoded once. The last step may also be an "
    "analysis,"
    " `tile`, or an algorithm that only encodes."
)
ALGORITHM, PARAMETER, CHOICE, CATEGORY = "algorithm", "parameter", "choice", "category"
"""Translation contexts of the names."""

_EVERYWHERE = ("Output", "Source")
"""Models that occur in the schema of nearly every algorithm."""
_UPPER = {"avif", "cmyk", "dpi", "dpr", "exif", "gif", "id", "jpeg", "lut", "png", "ssim", "tiff"}
_NAMES = {
    **{"webp": "WebP", "srgb": "sRGB", "p3": "Display P3", "dz": "Deep Zoom", "google": "Google Maps"},
    **{"iiif": "IIIF 2", "iiif3": "IIIF 3", "clahe": "CLAHE", "phash": "Perceptual hash", "blurhash": "BlurHash"},
}


def words(name: str) -> str:
    """Return a readable name: ``max_bytes`` becomes "Max bytes", ``FocalPoint`` becomes "Focal point"."""
    if name in _NAMES:
        return _NAMES[name]
    parts = re.split(r"[_-]", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    spelled = [part.upper() if part in _UPPER else part for part in parts]
    return " ".join([spelled[0][:1].upper() + spelled[0][1:], *spelled[1:]])


@cache
def catalog(language: Language) -> Sequence[Json]:
    """Return every algorithm with the complete schema of its params; the pipeline is the last."""
    found = [
        _described(algorithm, task_params(algorithm).model_json_schema(), language)
        for algorithm in all_algorithms().values()
    ]
    return [*found, _pipeline(Pipeline.model_json_schema(), language)]


@cache
def compact_catalog(language: Language) -> Json:
    """Return the same catalog as one document in which all schemas share their definitions."""
    algorithms = all_algorithms().values()
    models: list[type[BaseModel]] = [*map(task_params, algorithms), Pipeline]
    references, shared = models_json_schema([(model, "validation") for model in models])
    schemas = [references[model, "validation"] for model in models]
    described = [
        _described(algorithm, schema, language) for algorithm, schema in zip(algorithms, schemas[:-1], strict=True)
    ]
    entries = [*described, _pipeline(schemas[-1], language)]
    titles = {str(schema.get("$ref")): entry["title"] for schema, entry in zip(schemas, entries, strict=True)}
    definitions = {}
    for name, definition in _members(shared.get("$defs")).items():
        definitions[name] = _schema(definition, language, name)
        if (reference := f"#/$defs/{name}") in titles:
            definitions[name]["title"] = titles[reference]
    return {"algorithms": entries, "$defs": definitions}


def _described(algorithm: Algorithm, schema: Mapping[str, object], language: Language) -> Json:
    title = translated(words(algorithm.name), language, ALGORITHM)
    return {
        "name": algorithm.name,
        "title": title,
        "summary": translated(algorithm.summary, language),
        "category": algorithm.category,
        "category_title": translated(words(algorithm.category), language, CATEGORY),
        "result": algorithm.result,
        "frames": algorithm.frames,
        "streams": algorithm.sequential,
        "example": algorithm.example,
        "params": _titled(_schema(schema, language), title),
    }


def _pipeline(schema: Mapping[str, object], language: Language) -> Json:
    title = translated(words(PIPELINE), language, ALGORITHM)
    return {
        "name": PIPELINE,
        "title": title,
        "summary": translated(PIPELINE_SUMMARY, language),
        "category": PIPELINE,
        "category_title": translated(words(PIPELINE), language, CATEGORY),
        "result": "image",
        "frames": "each",
        "streams": True,
        "example": {"steps": [{"algorithm": "resize", "params": {"width": 800}}, {"algorithm": "sharpen"}]},
        "params": _titled(_schema(schema, language), title),
    }


def _titled(schema: Json, title: str) -> Json:
    """Return the schema of an algorithm's params, with a readable title instead of the class name."""
    return schema if "$ref" in schema else schema | {"title": title}


def _schema(schema: object, language: Language, name: str = "") -> Json:
    """Return a schema with translated texts, and with hints for each of its properties.

    :param name: the readable name of a model nested in the params.
    """
    found = dict(_members(schema))
    if isinstance(found.get("description"), str):
        found["description"] = translated(str(found["description"]), language)
    if "properties" in found:
        properties = _members(found["properties"])
        found["properties"] = {
            property_name: _property(property_name, part, order, language)
            for order, (property_name, part) in enumerate(properties.items())
        }
        if name:
            found["title"] = translated(words(name), language, PARAMETER)
    if "$defs" in found:
        found["$defs"] = {key: _definition(part, language, key) for key, part in _members(found["$defs"]).items()}
    for key in ("anyOf", "oneOf"):
        if isinstance(found.get(key), list):
            found[key] = [_schema(part, language) for part in _items(found[key])]
    if isinstance(found.get("items"), Mapping):
        found["items"] = _schema(found["items"], language)
    return found


def _definition(schema: object, language: Language, name: str) -> Json:
    """Return a definition inside a complete schema.

    Definitions that occur in every schema get no hints, to keep the schema short; :func:`compact_catalog` has them.
    """
    found = _schema(schema, language, name)
    if name in _EVERYWHERE:
        for part in _members(found["properties"]).values():
            if isinstance(part, dict):
                del part[HINTS]
    return found


def _property(name: str, schema: object, order: int, language: Language) -> Json:
    found = _schema(schema, language)
    found["title"] = translated(words(name), language, PARAMETER)
    return found | {HINTS: {"order": order, **_hints(_members(schema), language)}}


def _hints(schema: Mapping[str, object], language: Language) -> Json:
    """Return the model's own hints, with the missing ones inferred from the schema."""
    alternatives = [_members(part) for key in ("anyOf", "oneOf") for part in _items(schema.get(key))]
    branches = [part for part in alternatives if part.get("type") != "null"]
    whole = {key: value for part in (*branches, schema) for key, value in part.items()}
    hints = _inferred(whole)
    for part in (*branches, schema):
        hints |= _members(part.get(HINTS))
    choices = [value for part in (*branches, schema) for value in _items(part.get("enum"))]
    if choices:
        hints["labels"] = {str(value): translated(words(str(value)), language, CHOICE) for value in choices}
    return hints


def _inferred(schema: Mapping[str, object]) -> Json:
    """Return the widget for a type, and the step size of a number."""
    match schema.get("type"):
        case _ if "enum" in schema:
            return {"widget": "choice"}
        case "boolean":
            return {"widget": "switch"}
        case "integer" | "number" as kind:
            low = schema.get("minimum", schema.get("exclusiveMinimum"))
            high = schema.get("maximum", schema.get("exclusiveMaximum"))
            if not isinstance(low, int | float) or not isinstance(high, int | float):
                return {"widget": "number", "step": 1 if kind == "integer" else 0.1}
            step = 1 if kind == "integer" else _step(high - low)
            return {"widget": "slider" if (high - low) / step <= _MOST_STEPS else "number", "step": step}
        case "string":
            return {"widget": "text"}
        case "array":
            return {"widget": "list"}
    return {"widget": "group"}


_MOST_STEPS = 1000
"""Maximum number of steps of a slider."""


def _step(span: float) -> float:
    """Return a step size that divides the span into at most :data:`_MOST_STEPS` steps."""
    return 0.01 if span <= 10 else 0.1 if span <= 100 else 1


def _members(part: object) -> Mapping[str, object]:
    return part if isinstance(part, Mapping) else {}


def _items(part: object) -> Sequence[object]:
    return part if isinstance(part, list) else ()
