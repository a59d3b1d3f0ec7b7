"""Limits the depth and the number of values of clients' JSON, so that validation stays fast."""

import re

from service_kit.problems import Problem
from service_kit.texts import counted, sentence

MAX_DEPTH = 32
"""Maximum nesting of arrays and objects. The deepest valid request, a curve in a pipeline, has eight levels."""
MAX_VALUES = 20_000
"""Maximum number of values in all arrays and objects together.

The largest valid requests stay below it: 10,000 file ids, plus the 4,000 of a pipeline of 20 montages.
"""

# The closing quote is optional, so that each byte is read once.
_STRING = re.compile(rb'"(?:[^"\\]+|\\.)*+"?', re.DOTALL)


def check_text(text: bytes) -> None:
    """Check unparsed JSON that is too long to parse unchecked: megabytes of brackets become gigabytes of objects.

    :raises Problem: 422, it has too many values.
    """
    if _STRING.sub(b"", text).count(b",") > MAX_VALUES:
        raise _too_many()


def check_extent(data: object) -> None:
    """Check parsed JSON before it is validated.

    :raises Problem: 422, it is nested too deeply or has too many values.
    """
    count, depth, level = 0, 0, [data]
    while level:
        containers = [value for value in level if isinstance(value, dict | list)]
        depth += bool(containers)
        count += sum(map(len, containers))
        if depth > MAX_DEPTH:
            raise Problem(
                "json-too-deep",
                422,
                counted(
                    "The JSON is nested too deeply; at most {limit} level is allowed.",
                    "The JSON is nested too deeply; at most {limit} levels are allowed.",
                    "limit",
                    limit=MAX_DEPTH,
                ),
            )
        if count > MAX_VALUES:
            raise _too_many()
        level = [
            value
            for container in containers
            for value in (container.values() if isinstance(container, dict) else container)
        ]


def _too_many() -> Problem:
    return Problem(
        "json-too-large", 422, sentence("The JSON has too many values; at most {limit} are allowed.", limit=MAX_VALUES)
    )
