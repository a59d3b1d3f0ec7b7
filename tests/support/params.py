"""Random params for a model, for property tests: each field is valid or omitted."""

from collections.abc import Mapping
from typing import cast

from hypothesis import strategies as st
from pydantic import BaseModel

Schema = Mapping[str, object]


def params_of(model: type[BaseModel]) -> st.SearchStrategy[dict[str, object]]:
    """Return a strategy for all params that the model's JSON Schema allows, with small sizes and file ids below 10."""
    schema = model.model_json_schema()
    definitions = cast("Mapping[str, Schema]", schema.get("$defs", {}))
    made = _object(schema, definitions)
    alternatives = cast("list[Schema]", schema.get("anyOf", []))
    return made.filter(
        lambda params: not alternatives or any(_meets(params, alternative) for alternative in alternatives)
    )


def _meets(params: Mapping[str, object], alternative: Schema) -> bool:
    """Return whether the params have all fields that the alternative requires, with allowed values."""
    properties = cast("Mapping[str, Schema]", alternative.get("properties", {}))
    return set(cast("list[str]", alternative.get("required", []))) <= params.keys() and all(
        params[name] in cast("list[object]", field["enum"]) for name, field in properties.items() if name in params
    )


def _object(schema: Schema, definitions: Mapping[str, Schema]) -> st.SearchStrategy[dict[str, object]]:
    properties = cast("Mapping[str, Schema]", schema.get("properties", {}))
    fields = {name: _value(name, field, definitions) for name, field in properties.items()}
    needed = cast("list[str]", schema.get("required", []))
    return st.fixed_dictionaries(
        {name: fields[name] for name in needed},
        optional={name: field for name, field in fields.items() if name not in needed},
    )


def _value(name: str, field: Schema, definitions: Mapping[str, Schema]) -> st.SearchStrategy[object]:
    choices = cast("list[Schema]", field.get("anyOf", field.get("oneOf", [])))
    if choices:
        return st.one_of([_value(name, choice, definitions) for choice in choices])
    if "$ref" in field:
        return _object(definitions[str(field["$ref"]).rsplit("/", 1)[-1]], definitions)
    if "enum" in field:
        return st.sampled_from(cast("list[object]", field["enum"]))
    if "const" in field:
        return st.just(field["const"])
    kind = field["type"]
    if kind == "array":
        items = _value(name, cast("Schema", field["items"]), definitions)
        least = cast("int", field.get("minItems", 0))
        return cast(
            "st.SearchStrategy[object]",
            st.lists(items, min_size=least, max_size=max(least, min(4, cast("int", field.get("maxItems", 4))))),
        )
    if kind == "string":
        return _text(field)
    if kind in ("integer", "number"):
        return _number(name, field)
    return st.booleans() if kind == "boolean" else st.none()


def _text(field: Schema) -> st.SearchStrategy[object]:
    if "pattern" in field:
        return st.from_regex(str(field["pattern"]), fullmatch=True).map(lambda text: text[:60] or "x")
    return st.text(min_size=1, max_size=20)


def _number(name: str, field: Schema) -> st.SearchStrategy[object]:
    whole = field["type"] == "integer"
    low = cast("float", field.get("minimum", field.get("exclusiveMinimum", -1000)))
    high = cast("float", field.get("maximum", field.get("exclusiveMaximum", 1000)))
    if high > 2000:
        high = {"file_id": 9, "others": 9, "page": 2}.get(name, 600)
    if whole:
        return st.integers(int(low), int(high))
    return st.floats(
        low,
        high,
        exclude_min="exclusiveMinimum" in field,
        exclude_max="exclusiveMaximum" in field and high == field["exclusiveMaximum"],
        allow_nan=False,
    )
