"""The headers with which a worker names the task whose result a raw body is."""

from flask import Request
from service_kit.database import MAX_ID
from service_kit.errors import FieldError
from service_kit.problems import Problem
from service_kit.texts import sentence

SOURCE_ID, TASK_ID, BATCH_ID = "X-Pixmill-Source-Id", "X-Pixmill-Task-Id", "X-Pixmill-Batch-Id"


def claimed_id(request: Request, header: str) -> int | None:
    """Return the id in a header; ``None`` without this header.

    :raises Problem: 422 if the value is not an id.
    """
    value = request.headers.get(header)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and 0 < int(value[:20]) <= MAX_ID):
        detail = sentence("{header} must be an id.", header=header)
        raise Problem(
            "invalid-fields", 422, detail, [FieldError(pointer=f"/{header}", detail=detail, code="not_an_id")]
        )
    return int(value)
