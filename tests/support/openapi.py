"""Validates OpenAPI documents, and compares them with what a service does."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from flask.testing import FlaskClient

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


class Operation(NamedTuple):
    """An operation of a document, with the names of its parameters by their place, such as ``header``."""

    method: str
    path: str
    parameters: Mapping[str, Sequence[str]]


def operations_of(document: Mapping[str, object]) -> Iterator[Operation]:
    """Yield the operations of a document."""
    paths = document["paths"]
    assert isinstance(paths, Mapping)
    for path, operations in paths.items():
        for method, operation in operations.items():
            named: dict[str, list[str]] = {}
            for parameter in operation.get("parameters") or []:
                named.setdefault(parameter["in"], []).append(parameter["name"])
            yield Operation(method.upper(), path, named)


def takes_a_key(client: FlaskClient, operation: Operation) -> bool:
    """Return whether an operation refuses a wrong Idempotency-Key, that is, reads it."""
    path = operation.path
    for name in operation.parameters.get("path", ()):
        path = path.replace(f"{{{name}}}", "1")
    # A name, because PUT refuses a request without one before it reads the key.
    query = {"name": "a"} if "name" in operation.parameters.get("query", ()) else {}
    answer = client.open(path, method=operation.method, query_string=query, headers={"Idempotency-Key": ""}, json={})
    return b"invalid-idempotency-key" in answer.data
