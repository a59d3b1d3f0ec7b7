"""The headers with which a worker names the task whose result a raw body is."""

from flask import Request
from service_kit.errors import FieldError
from service_kit.numbers import whole_number
from service_kit.problems import Problem
from service_kit.texts import sentence

SOURCE_ID, TASK_ID, BATCH_ID = "X-Pixmill-Source-Id", "X-Pixmill-Task-Id", "X-Pixmill-Batch-Id"


def claims_something(request: Request) -> bool:
    """Return whether the request names the task of a result, in a valid or an invalid form."""
    return any(header in request.headers for header in (SOURCE_ID, TASK_ID, BATCH_ID))


def claimed_id(request: Request, header: str) -> int | None:
    """Return the id in a header; ``None`` without this header.

    :raises Problem: 422 if the value is not an id.
    """
    value = request.headers.get(header)
    if value is None:
        return None
    number = whole_number(value)
    if not number:
        detail = sentence("{header} must be an id.", header=header)
        raise Problem(
            "invalid-fields", 422, detail, [FieldError(pointer=f"/{header}", detail=detail, code="not_an_id")]
        )
    return number
