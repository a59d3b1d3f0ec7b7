"""The request header ``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header)."""

import re

from flask import Request

from service_kit.problems import Problem
from service_kit.texts import counted

MAX_KEY_LENGTH = 255
KEY = rf"^[\x20-\x7e]{{1,{MAX_KEY_LENGTH}}}$"


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
