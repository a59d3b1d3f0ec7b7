"""Finds the first claimable tasks of the queue without reading the index entries of tasks claimed before them.

While an old snapshot is held, for example by ``pg_dump``, VACUUM cannot remove the index entries of claimed tasks, and
each query of the queue would read all of them. Therefore each process remembers, for one owner of each priority, the
lowest id that a new task can have, and starts there. Returned tasks have lower ids and an index of their own.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from service_kit.database import oldest_transaction, own_transaction
from sqlalchemy import ColumnElement, Connection, Integer, Row, Select, bindparam, select, union_all

from image_processor.models import Task
from image_processor.services.jobs.turns import CLAIMABLE, URGENCY

MAX_KNOWN = 3
"""Maximum number of priorities with a remembered start; each makes the statement longer."""
FORGET_SECONDS = 30.0
"""After this time a process starts at the first task again, which limits the wait of a task with an unexpected id."""

FrontTask = Row[int, str, int, int, int]
"""The id, owner and priority of a claimable task, and the ids of the oldest and of this transaction."""

_RETURNED = (Task.attempt > 0) | (Task.restarts > 0)
_COUNT = bindparam("front_count", type_=Integer)


@dataclass
class _Known:
    """The start of the new tasks of one owner and priority.

    - ``begin``: no new task with a lower id is or will be pending.
    - ``seen``: no new task with a lower id was pending when the transaction ``transaction`` looked.
    - ``later``: the id of a transaction that began after that look; 0 if there has been none. A transaction that adds
      tasks has an id before they have theirs, so all that may have taken an id below ``seen`` have lower ids.
    """

    owner: str
    seen: int
    transaction: int
    begin: int = 0
    later: int = 0


class QueueFront:
    """Remembers where the claimable tasks of the queue start."""

    def __init__(self, longest_delay: float) -> None:
        self._delay = {"longest_delay": longest_delay}
        self._known: dict[int, _Known] = {}
        """By priority, in the order of their last use."""
        self._forget_at = 0.0
        self._owners: Mapping[int, str] = {}
        self._look = _statement({})

    def look(self, connection: Connection, count: int) -> Sequence[FrontTask]:
        """Return the first ``count`` claimable tasks by priority; others may have locked some of them."""
        if time.monotonic() >= self._forget_at:
            self._known.clear()
            self._forget_at = time.monotonic() + FORGET_SECONDS
        begins = {priority: known for priority, known in self._known.items() if known.begin}
        owners = {priority: known.owner for priority, known in begins.items()}
        if owners != self._owners:
            self._owners, self._look = owners, _statement(owners)
        values = {_name(priority): known.begin for priority, known in begins.items()}
        rows = connection.execute(self._look, {"front_count": count, **values, **self._delay}).all()
        for priority, tasks in groupby(rows, key=lambda row: row.priority):
            self._learn(priority, list(tasks))
        while len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return rows

    def _learn(self, priority: int, rows: Sequence[FrontTask]) -> None:
        known = self._known.get(priority)
        begin = known.begin if known and known.owner == rows[0].owner else 0
        first = next((row for row in rows if row.owner == rows[0].owner and row.id >= begin), None)
        if first is None:
            return
        if known is None or known.owner != first.owner:
            known = _Known(first.owner, first.id, first.own_transaction)
        else:
            if not known.later and first.own_transaction != known.transaction:
                known.later = first.own_transaction
            # SQLite runs one writing transaction at a time.
            if not first.own_transaction or (known.later and first.oldest_transaction >= known.later):
                # All transactions that may have taken an id below ``seen`` have ended: their tasks are among the rows.
                begin = min(known.seen, first.id)
                known = _Known(first.owner, first.id, first.own_transaction, begin)
        self._known.pop(priority, None)
        self._known[priority] = known


def _name(priority: int) -> str:
    return f"begin_{priority}"


def _statement(owners: Mapping[int, str]) -> Select[int, str, int, int, int]:
    """Return the query for the first claimable tasks, given by priority the owners whose start is known.

    The query is a union of ranges of the index of pending tasks, in index order. PostgreSQL reads a range only if the
    ranges before it have too few tasks.
    """
    parts: list[Sequence[ColumnElement[bool]]] = []
    above: list[ColumnElement[bool]] = []
    for priority in sorted(owners, reverse=True):
        # With an equality, PostgreSQL sorts by id alone and may read the primary key through all ended tasks.
        level, own = Task.priority == priority, Task.owner.between(owners[priority], owners[priority])
        begin = bindparam(_name(priority), type_=Task.id.type)
        parts += [
            [*above, Task.priority > priority],
            [level, Task.owner < owners[priority]],
            [level, own, Task.id < begin, _RETURNED],
            [level, own, Task.id >= begin],
            [level, Task.owner > owners[priority]],
        ]
        above = [Task.priority < priority]
    parts.append(above)
    tasks = [
        select(Task.id, Task.owner, Task.priority).where(CLAIMABLE, *part).order_by(*URGENCY).limit(_COUNT).subquery()
        for part in parts
    ]
    front = union_all(*(select(task.c.id, task.c.owner, task.c.priority) for task in tasks)).limit(_COUNT).subquery()
    return select(
        front.c.id,
        front.c.owner,
        front.c.priority,
        oldest_transaction().label("oldest_transaction"),
        own_transaction().label("own_transaction"),
    )
