"""Finds the cause of a failed task, and the tasks of a batch that failed for the same one."""

import re
from collections.abc import Hashable, Sequence
from hashlib import sha256
from itertools import islice

from sqlalchemy import ColumnElement, UnaryExpression, func, select
from sqlalchemy.orm import Session

from image_processor.models import Task, TaskStatus
from image_processor.services.causes import KindOfProblem

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_KEY = re.compile(r"([1-9][0-9]{0,17})-[0-9a-f]{16}")
"""What :func:`cause_key` returns."""


def numberless(text: str) -> str:
    """Return an error without a problem as it is grouped: with ``…`` for each number."""
    return _NUMBER.sub("…", text)


def kind_of(error: str, problem: str | None) -> Hashable:
    """Return what is equal for errors with the same cause."""
    return numberless(error) if problem is None else KindOfProblem(problem).key


def cause_key(batch_id: int, error: str, problem: str | None) -> str:
    """Return the name of a cause in a batch, which remains valid when the task with this error is restarted."""
    return f"{batch_id}-{sha256(repr(kind_of(error, problem)).encode()).hexdigest()[:16]}"


def failures_of(
    session: Session, key: str, conditions: Sequence[ColumnElement[bool]], order: UnaryExpression[int], limit: int
) -> Sequence[int]:
    """Return the ids of the first ``limit`` tasks of a cause, in the order, that meet the conditions."""
    parsed = _KEY.fullmatch(key)
    if parsed is None:
        return []
    batch_id = int(parsed[1])
    failed = (
        select(Task.id, func.coalesce(Task.error, ""), Task.error_problem)
        .where(*conditions, Task.batch_id == batch_id, Task.status == TaskStatus.ERROR)
        .order_by(order)
    )
    same = (
        task_id for task_id, error, problem in session.execute(failed) if cause_key(batch_id, error, problem) == key
    )
    return list(islice(same, limit))
