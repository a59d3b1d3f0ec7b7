"""Validates OpenAPI documents."""

import importlib
from collections.abc import Iterator, Mapping

# The schema from the OpenAPI Initiative comes with Schemathesis.
_DEFINITIONS = importlib.import_module("schemathesis.specs.openapi.definitions")


def faults_of(document: Mapping[str, object]) -> list[str]:
    """Return the errors of a document under OpenAPI 3.1: violations of its schema, and unresolved references."""
    broken = [
        f"{error.instance_path}: {error.message}" for error in _DEFINITIONS.OPENAPI_31_VALIDATOR.iter_errors(document)
    ]
    return broken + [
        f"{reference} does not resolve" for reference in _references(document) if not _resolves(document, reference)
    ]


def _references(part: object) -> Iterator[str]:
    if isinstance(part, Mapping):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _resolves(document: object, reference: str) -> bool:
    beginning, *path = reference.split("/")
    for name in path:
        if not isinstance(document, Mapping) or name not in document:
            return False
        document = document[name]
    return beginning == "#"
