"""Completes an application's OpenAPI document so that every reference resolves."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

REFERENCE = "#/components/schemas/{model}"
"""The template of a reference to a shared schema."""
_BEGINNING = REFERENCE.format(model="")

_definitions: dict[str, object] = {}
"""The nested models of the described models, by name."""


class ConflictingSchemasError(Exception):
    """Two different nested models have the same name."""


def schema_of(model: type[BaseModel]) -> dict[str, object]:
    """Return the JSON Schema of a model, for a document that :func:`complete` completes.

    Pydantic refers to nested models by ``#/$defs/…``. That is right for a schema on its own, but in an OpenAPI document
    such a reference starts at the document's root, and flask-openapi3 drops the definitions.

    :raises ConflictingSchemasError: another model has a different nested model of the same name.
    """
    schema = model.model_json_schema(ref_template=REFERENCE)
    definitions: Mapping[str, object] = schema.pop("$defs", {})
    for name, definition in definitions.items():
        _define(name, definition)
    return schema


def reference_to(name: str, schema: Mapping[str, object]) -> dict[str, str]:
    """Return a reference to a schema, which :func:`complete` adds to the document as it is.

    flask-openapi3 drops the keywords of a schema that it does not know, such as ``contentSchema``.

    :raises ConflictingSchemasError: another schema has this name.
    """
    _define(name, schema)
    return {"$ref": REFERENCE.format(model=name)}


def _define(name: str, schema: object) -> None:
    if _definitions.setdefault(name, schema) != schema:
        raise ConflictingSchemasError(f"two different models are named '{name}'")


def complete(document: Mapping[str, object]) -> dict[str, object]:
    """Return the document with all schemas that it refers to."""
    components = dict(_members(document.get("components")))
    schemas = dict(_members(components.get("schemas")))
    missing = set(_references(document)) - schemas.keys()
    while missing:
        found = {name: _definitions[name] for name in sorted(missing)}
        schemas |= found
        missing = set(_references(found)) - schemas.keys()
    return _without_twins({**document, "components": {**components, "schemas": schemas}}, schemas)


def _without_twins(document: dict[str, object], schemas: Mapping[str, object]) -> dict[str, object]:
    """Return the document with only one copy of each schema that it has under two names.

    flask-openapi3 names a model by its title, and pydantic by its class. Generators of clients reject duplicates.
    """
    seen: dict[str, str] = {}
    twins = {
        name: first
        for name, schema in schemas.items()
        if (first := seen.setdefault(repr(sorted(_members(schema).items(), key=repr)), name)) != name
    }
    if not twins:
        return document
    kept = {name: schema for name, schema in schemas.items() if name not in twins}
    components = {**_members(document["components"]), "schemas": kept}
    renamed = _renamed({**document, "components": components}, twins)
    return renamed if isinstance(renamed, dict) else document


def _renamed(part: object, names: Mapping[str, str]) -> object:
    if isinstance(part, Mapping):
        return {name: _renamed(value, names) for name, value in part.items()}
    if isinstance(part, list):
        return [_renamed(item, names) for item in part]
    if isinstance(part, str) and part.startswith(_BEGINNING):
        name = part.removeprefix(_BEGINNING)
        return _BEGINNING + names.get(name, name)
    return part


def _members(part: object) -> Mapping[str, object]:
    return part if isinstance(part, Mapping) else {}


def _references(part: object) -> Iterator[str]:
    """Yield the names of the shared schemas that a part of a document refers to."""
    if isinstance(part, str) and part.startswith(_BEGINNING):
        yield part.removeprefix(_BEGINNING)
    elif isinstance(part, Mapping | list):
        for child in part.values() if isinstance(part, Mapping) else part:
            yield from _references(child)
