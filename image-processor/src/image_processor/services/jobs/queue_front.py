"""Finds the first claimable tasks of the queue without reading the index entries of tasks claimed before them.

While an old snapshot is held, for example by ``pg_dump``, VACUUM cannot remove the index entries of claimed tasks, and
each query of the queue would read all of them. Therefore each process remembers where the new tasks are. A task is new
until its first claim or restart, and is never new again; its id is greater than those of all earlier tasks.

- Below the *floor*, all transactions that add tasks have ended, so new tasks can only become fewer. The process
  remembers each *lane*, the tasks of one owner and priority, that has new tasks below the floor, and the first of them.
- From the floor on, the process reads all tasks by id, which yields the lanes of tasks that others have added since.
- Tasks that are pending again are not new; they have an index of their own.

SQLite removes index entries at once, so there each query starts at the first task.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from service_kit.database import dialect_of, each_of, next_transaction, oldest_transaction
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    ScalarSelect,
    SmallInteger,
    String,
    bindparam,
    cast,
    func,
    literal,
    null,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.selectable import LateralFromClause

from image_processor.models import Task, TaskStatus
from image_processor.services.jobs.transitions import has_status
from image_processor.services.jobs.turns import CLAIMABLE, RETURNED, URGENCY, Beginning

FORGET_SECONDS = 600.0
"""After this time a process starts at the first task again, which limits the wait of a task with an unexpected id, for
example of one that an operator has copied from a backup."""


class Lane(NamedTuple):
    """The tasks of one owner and priority."""

    priority: int
    owner: str


class FrontTask(NamedTuple):
    """A claimable task; others may have locked it."""

    id: int
    owner: str
    priority: int

    @property
    def lane(self) -> Lane:
        return Lane(self.priority, self.owner)


class _Seen(NamedTuple):
    """The greatest id of a task, and the next transaction, at one moment.

    Each transaction that adds tasks takes its own id before theirs: it adds the batch first. So when all transactions
    before ``next_transaction`` have ended, no further task can appear with an id up to ``top``.
    """

    top: int
    next_transaction: int


class QueueFront:
    """Remembers where the claimable tasks of the queue are."""

    def __init__(self, longest_delay: float) -> None:
        self._delay = {"longest_delay": longest_delay}
        self._forget_at = 0.0
        self._seen: _Seen | None = None
        """What will become the floor."""
        self._floor: int | None = None
        """The first id that tasks which are not visible yet may have; ``None`` if unknown."""
        self._lanes: dict[Lane, int] = {}
        """The lanes with new tasks below the floor, and a lower limit of their ids."""
        self._arrived: dict[Lane, int] = {}
        """The lanes with new tasks from the floor on at the last look, and the first id of each."""
        self._returned: Sequence[FrontTask] = ()
        """The first tasks at the last look that are pending again."""
        self._returned_to = 0
        """All tasks that are pending again and have at least this priority were among them."""

    def look(self, connection: Connection, count: int) -> Sequence[FrontTask]:
        """Return the first ``count`` claimable tasks by priority; others may have locked some of them."""
        if time.monotonic() >= self._forget_at:
            self._forget()
        if self._floor is None and dialect_of(connection) == "postgresql":
            self._find_floor(connection)
        if self._floor is None:
            return _tasks(connection.execute(_FROM_THE_START, {"count": count, **self._delay}))
        return self._look_from(self._floor, connection, count)

    def owners(self, connection: Connection, priority: int) -> Mapping[str, Beginning]:
        """Return the owners with claimable tasks of this priority; call it after :meth:`look`.

        If there is only one owner, its tasks may have been claimed since.
        """
        if self._floor is None:
            lanes = _lanes(connection.execute(_ALL_LANES, self._delay))
            return {lane.owner: Beginning(begin) for lane, begin in lanes.items() if lane.priority == priority}
        known = {lane: begin for lane, begin in (self._arrived | self._lanes).items() if lane.priority == priority}
        returned = self._returned_owners(connection, priority)
        if len(returned | {lane.owner for lane in known}) > 1:
            values = {"lanes": _as_json(known), "count": len(known), "per_lane": 1, **self._delay}
            heads = _tasks(connection.execute(_HEADS, values))
            self._raise(heads, known)
            known = {task.lane: task.id for task in heads}
        begins = {lane.owner: begin for lane, begin in known.items()}
        return {
            owner: Beginning(begins.get(owner, self._floor), owner in returned) for owner in begins.keys() | returned
        }

    def _forget(self) -> None:
        self._forget_at = time.monotonic() + FORGET_SECONDS
        self._seen = self._floor = None
        self._lanes.clear()

    def _find_floor(self, connection: Connection) -> None:
        [moment] = connection.execute(_MOMENT)
        settled = self._settled(*moment)
        if settled is not None:
            # A later statement sees all tasks that the transactions before have added.
            self._lanes = _lanes(connection.execute(_ALL_LANES, self._delay))
            self._floor = settled + 1

    def _settled(self, top: int, oldest: int, following: int) -> int | None:
        """Return an id up to which no further task can appear, if a new one is known by now."""
        if self._seen is None or oldest >= following:
            self._seen = _Seen(top, following)
        if oldest < self._seen.next_transaction:
            return None
        settled = self._seen.top
        self._seen = _Seen(top, following)
        return settled

    def _look_from(self, floor: int, connection: Connection, count: int) -> Sequence[FrontTask]:
        values = {"lanes": _as_json(self._lanes), "floor": floor, "count": count, "per_lane": count, **self._delay}
        rows = connection.execute(_LOOK, values).all()
        [moment] = [row for row in rows if row.kind == _A_MOMENT]
        if self._seen is not None and moment.next_transaction < self._seen.next_transaction:
            # This is another server, for example a copy that has become the primary: it may give ids again.
            self._forget()
            return self.look(connection, count)
        self._arrived = _lanes((row.priority, row.owner, row.id) for row in rows if row.kind == _AN_ARRIVAL)
        self._returned = _tasks((row.id, row.owner, row.priority) for row in rows if row.kind == _A_RETURN)
        self._returned_to = self._returned[-1].priority + 1 if len(self._returned) == count else 0
        found = _tasks((row.id, row.owner, row.priority) for row in rows if row.kind == _IN_A_LANE)
        settled = self._settled(moment.id, moment.oldest_transaction, moment.next_transaction)
        if settled is not None and settled >= floor:
            self._floor = settled + 1
            self._lanes = {
                **{lane: begin for lane, begin in self._arrived.items() if begin <= settled},
                **self._lanes,
            }
        last = found[-1].priority if len(found) == count else -1
        self._raise(found, [lane for lane in self._lanes if lane.priority > last])
        return sorted({*found, *self._returned}, key=_urgency)[:count]

    def _raise(self, found: Iterable[FrontTask], looked_at: Collection[Lane]) -> None:
        """Raise the limits of the lanes to their first tasks, and forget lanes of ``looked_at`` that have none."""
        firsts: dict[Lane, int] = {}
        for task in found:
            firsts.setdefault(task.lane, task.id)
        floor = self._floor or 0
        for lane, begin in list(self._lanes.items()):
            if lane in firsts:
                self._lanes[lane] = max(begin, min(firsts[lane], floor))
            elif lane in looked_at:
                del self._lanes[lane]

    def _returned_owners(self, connection: Connection, priority: int) -> set[str]:
        if priority >= self._returned_to:
            return {task.owner for task in self._returned if task.priority == priority}
        return set(connection.scalars(_RETURNED_OWNERS, {"priority": priority, **self._delay}))


def _urgency(task: FrontTask) -> tuple[int, str, int]:
    return -task.priority, task.owner, task.id


def _tasks(rows: Iterable[Iterable[object]]) -> Sequence[FrontTask]:
    return [FrontTask(*row) for row in rows]  # type: ignore[arg-type]  # the rows of our own statements


def _lanes(rows: Iterable[Iterable[object]]) -> dict[Lane, int]:
    return {Lane(priority, owner): begin for priority, owner, begin in rows}  # type: ignore[misc,arg-type]  # as above


def _as_json(lanes: Mapping[Lane, int]) -> list[list[object]]:
    return [[*lane, begin] for lane, begin in lanes.items()]


_A_MOMENT, _AN_ARRIVAL, _IN_A_LANE, _A_RETURN = range(4)
_COUNT = bindparam("count", type_=Integer)
_COLUMNS = (Task.id, Task.owner, Task.priority)

_FROM_THE_START = select(*_COLUMNS).where(CLAIMABLE).order_by(*URGENCY).limit(_COUNT)
_MOMENT = select(
    func.coalesce(select(func.max(Task.id)).scalar_subquery(), 0), oldest_transaction(), next_transaction()
)


def _first(column: InstrumentedAttribute[object], *conditions: ColumnElement[bool]) -> ScalarSelect[object]:
    tasks = select(column).where(CLAIMABLE, *conditions).order_by(*URGENCY).limit(1)
    return tasks.correlate_except(Task).scalar_subquery()


# A loose index scan: each step finds the next priority, or the next owner, with a claimable task.
_FIRST_PRIORITY = select(_first(Task.priority).label("priority")).cte("priorities", recursive=True)
_PRIORITIES = _FIRST_PRIORITY.union_all(
    select(_first(Task.priority, Task.priority < _FIRST_PRIORITY.c.priority)).where(
        _FIRST_PRIORITY.c.priority.is_not(None)
    )
)
_FIRST_OWNERS = (
    select(_PRIORITIES.c.priority, _first(Task.owner, Task.priority == _PRIORITIES.c.priority).label("owner"))
    .where(_PRIORITIES.c.priority.is_not(None))
    .cte("owners", recursive=True)
)
_OWNERS = _FIRST_OWNERS.union_all(
    select(
        _FIRST_OWNERS.c.priority,
        _first(Task.owner, Task.priority == _FIRST_OWNERS.c.priority, Task.owner > _FIRST_OWNERS.c.owner),
    ).where(_FIRST_OWNERS.c.owner.is_not(None))
)
_ALL_LANES = select(
    _OWNERS.c.priority,
    _OWNERS.c.owner,
    # With an equality, PostgreSQL sorts by id alone and may read the primary key through all ended tasks.
    _first(Task.id, Task.priority == _OWNERS.c.priority, Task.owner.between(_OWNERS.c.owner, _OWNERS.c.owner)),
).where(_OWNERS.c.owner.is_not(None))

_PRIORITY = bindparam("priority", type_=SmallInteger)
_FIRST_RETURNED = select(_first(Task.owner, RETURNED, Task.priority == _PRIORITY).label("owner")).cte(
    "returned_owners", recursive=True
)
_ALL_RETURNED = _FIRST_RETURNED.union_all(
    select(_first(Task.owner, RETURNED, Task.priority == _PRIORITY, Task.owner > _FIRST_RETURNED.c.owner)).where(
        _FIRST_RETURNED.c.owner.is_not(None)
    )
)
_RETURNED_OWNERS = select(_ALL_RETURNED.c.owner).where(_ALL_RETURNED.c.owner.is_not(None))

_LANE = each_of("lanes")
_KNOWN = select(
    cast(_LANE[0].as_string(), SmallInteger).label("priority"),
    cast(_LANE[1].as_string(), String).label("owner"),
    cast(_LANE[2].as_string(), BigInteger).label("begin"),
)
# By the id alone: in the index of pending tasks, these would be anywhere between the entries of claimed ones.
_IS_NEW = has_status(TaskStatus.PENDING) & (Task.attempt == 0) & (Task.restarts == 0)
_ARRIVED = (
    select(Task.priority, Task.owner, func.min(Task.id).label("begin"))
    .where(Task.id >= bindparam("floor", type_=BigInteger), _IS_NEW)
    .group_by(Task.priority, Task.owner)
    .cte("arrived")
)
_BOTH = union_all(_KNOWN, select(_ARRIVED.c.priority, _ARRIVED.c.owner, _ARRIVED.c.begin)).subquery()
_IN_ORDER = (
    select(_BOTH.c.priority, _BOTH.c.owner, func.min(_BOTH.c.begin).label("begin"))
    .group_by(_BOTH.c.priority, _BOTH.c.owner)
    .order_by(_BOTH.c.priority.desc(), _BOTH.c.owner)
    .subquery("lanes")
)


def _first_in(lanes: FromClause) -> LateralFromClause:
    """Return the first tasks of each lane. A limit above makes PostgreSQL stop at the lane that reaches it."""
    tasks = select(*_COLUMNS).where(
        CLAIMABLE,
        Task.priority == lanes.c.priority,
        Task.owner.between(lanes.c.owner, lanes.c.owner),
        Task.id >= lanes.c.begin,
    )
    return tasks.order_by(*URGENCY).limit(bindparam("per_lane", type_=Integer)).lateral("first")


_EACH = _KNOWN.subquery("lanes")
_FIRST_OF_EACH = _first_in(_EACH)
_HEADS = (
    select(_FIRST_OF_EACH.c.id, _FIRST_OF_EACH.c.owner, _FIRST_OF_EACH.c.priority)
    .select_from(_EACH.join(_FIRST_OF_EACH, true()))
    .limit(_COUNT)
)
_FIRST_IN_ORDER = _first_in(_IN_ORDER)
_NEW = (
    select(_FIRST_IN_ORDER.c.id, _FIRST_IN_ORDER.c.owner, _FIRST_IN_ORDER.c.priority)
    .select_from(_IN_ORDER.join(_FIRST_IN_ORDER, true()))
    .limit(_COUNT)
    .subquery("new")
)
_AGAIN = select(*_COLUMNS).where(CLAIMABLE, RETURNED).order_by(*URGENCY).limit(_COUNT).subquery("again")
_LOOK = union_all(
    select(
        literal(_A_MOMENT).label("kind"),
        func.coalesce(select(func.max(Task.id)).scalar_subquery(), 0).label("id"),
        literal("").label("owner"),
        literal(0).label("priority"),
        oldest_transaction().label("oldest_transaction"),
        next_transaction().label("next_transaction"),
    ),
    select(literal(_AN_ARRIVAL), _ARRIVED.c.begin, _ARRIVED.c.owner, _ARRIVED.c.priority, null(), null()),
    select(literal(_IN_A_LANE), _NEW.c.id, _NEW.c.owner, _NEW.c.priority, null(), null()),
    select(literal(_A_RETURN), _AGAIN.c.id, _AGAIN.c.owner, _AGAIN.c.priority, null(), null()),
)
