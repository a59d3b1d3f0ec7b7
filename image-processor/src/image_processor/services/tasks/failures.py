"""Names the causes for which tasks of a batch failed."""

import re
from collections.abc import Hashable
from hashlib import sha256

from image_processor.services.causes import kind_of_problem

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
CAUSE_KEY = "([1-9][0-9]{0,17})-[0-9a-f]{16}"
"""The pattern of the name of a cause; its group is the id of the batch."""
_KEY = re.compile(CAUSE_KEY)
"""What :func:`cause_key` returns."""


def numberless(text: str) -> str:
    """Return an error without a problem as it is grouped: with ``…`` for each number."""
    return _NUMBER.sub("…", text)


def kind_of(error: str, problem: str | None) -> Hashable:
    """Return what is equal for errors with the same cause."""
    kind = kind_of_problem(problem)
    return numberless(error) if kind is None else kind.key


def cause_key(batch_id: int, error: str, problem: str | None) -> str:
    """Return the name of a cause in a batch, which remains valid when the task with this error is restarted."""
    return f"{batch_id}-{sha256(repr(kind_of(error, problem)).encode()).hexdigest()[:16]}"


def batch_of(key: str) -> int | None:
    """Return the id of the batch of a cause; ``None`` if this is not the name of a cause."""
    parsed = _KEY.fullmatch(key)
    return None if parsed is None else int(parsed[1])
