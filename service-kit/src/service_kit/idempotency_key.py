"""The request header ``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header)."""

import re
from collections.abc import Mapping

from flask import Request

from service_kit.problems import Problem
from service_kit.texts import counted

MAX_KEY_LENGTH = 255
KEY = rf"^[\x20-\x7e]{{1,{MAX_KEY_LENGTH}}}$"


_MARK = "x-takes-idempotency-key"
_HEADER: Mapping[str, object] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a retry safe: for 24 hours, the same request of the same owner with the same key gets the"
    f" first response again and creates nothing. 1 to {MAX_KEY_LENGTH} ASCII characters, such as a UUID.",
    # A field value has no spaces around it (RFC 9110, 5.5).
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_KEY_LENGTH,
        "pattern": r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$",
    },
}
_REFUSALS = {
    "400": f"`invalid-idempotency-key`: the key is not 1 to {MAX_KEY_LENGTH} ASCII characters.",
    "409": "`idempotency-key-in-use`: another request is using the key; try again.",
    "422": "`idempotency-key-reused`: the key was used for another request.",
}
_REVOKED = " `idempotency-key-revoked`: the key was revoked."


def takes_key(*, is_revocable: bool) -> dict[str, object]:
    """Return the OpenAPI extension for an operation that calls :func:`idempotency_key`.

    flask-openapi3 replaces the parameters of an operation that also has some in its path or query, so
    :func:`with_keys` adds the header to the finished document.
    """
    return {_MARK: is_revocable}


def with_keys(document: Mapping[str, object]) -> dict[str, object]:
    """Return an OpenAPI document with the header and its problems added to each operation that takes it."""
    paths = {
        path: {method: _described(operation) for method, operation in _members(operations).items()}
        for path, operations in _members(document.get("paths")).items()
    }
    return {**document, "paths": paths}


def _described(operation: object) -> object:
    if not isinstance(operation, Mapping) or _MARK not in operation:
        return operation
    responses = dict(_members(operation.get("responses")))
    for status, refusal in _REFUSALS.items():
        response = _members(responses[status])
        revoked = _REVOKED if status == "409" and operation[_MARK] else ""
        responses[status] = {**response, "description": f"{response['description']}. {refusal}{revoked}"}
    others = {name: value for name, value in operation.items() if name != _MARK}
    return {**others, "parameters": [*(operation.get("parameters") or []), dict(_HEADER)], "responses": responses}


def _members(part: object) -> Mapping[str, object]:
    return part if isinstance(part, Mapping) else {}


def idempotency_key(request: Request) -> str | None:
    """Return the request's Idempotency-Key, if any.

    :raises Problem: 400, the key is empty, too long or not ASCII.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(KEY, key):
        detail = counted(
            "Idempotency-Key must be 1 to {limit} ASCII characters.",
            "Idempotency-Key must be 1 to {limit} ASCII characters.",
            "limit",
            limit=MAX_KEY_LENGTH,
        )
        raise Problem("invalid-idempotency-key", 400, detail)
    return key
