"""Orders pending tasks: by priority; within a priority owners take turns, each with its oldest task.

Owners are found by a loose index scan, which takes one step per owner regardless of the number of tasks.
"""

import random
from collections.abc import Sequence
from itertools import zip_longest

from service_kit.database import epoch_now
from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Integer,
    Row,
    ScalarSelect,
    SmallInteger,
    String,
    UnaryExpression,
    bindparam,
    literal,
    select,
)
from sqlalchemy.orm import aliased

from image_processor.models import Task, TaskStatus
from image_processor.services.jobs.transitions import has_status

SUSPECT_LOSSES = 3
"""Number of lost workers after which a task is suspected as the cause."""
MAX_DRAWN = 1000
"""Maximum number of owners from whom the first one is drawn."""

DueTask = Row[int, str, int, bool]
"""The id, owner, priority and ``suspect`` of a claimable task."""

_LONGEST_DELAY = bindparam("longest_delay", type_=Double)


def _is_claimable(task: type[Task]) -> ColumnElement[bool]:
    return (task.status == TaskStatus.PENDING) & _is_due(task)


def _is_due(task: type[Task]) -> ColumnElement[bool]:
    # A task due later than the longest delay was postponed before the database's clock was set back.
    return ~task.due_at.between(epoch_now(), epoch_now() + _LONGEST_DELAY)


def _by_urgency(task: type[Task]) -> tuple[UnaryExpression[int], UnaryExpression[str], UnaryExpression[int]]:
    # The order of the index of pending tasks. Without it, the planner may scan all ended tasks for "any" pending task.
    return task.priority.desc(), task.owner.asc(), task.id.asc()


CLAIMABLE = _is_claimable(Task)
CLAIMABLE_BY_ID = has_status(TaskStatus.PENDING) & _is_due(Task)
"""The same condition for tasks whose ids are known."""
URGENCY = _by_urgency(Task)
SUSPECT = ((Task.crashes > 0) | (Task.losses >= SUSPECT_LOSSES)).label("suspect")
DUE_TASK = (Task.id, Task.owner, Task.priority, SUSPECT)

_PRIORITY = bindparam("priority", type_=SmallInteger)


def _first_owner(*conditions: ColumnElement[bool]) -> ScalarSelect[str]:
    tasks = select(Task.owner).where(CLAIMABLE, Task.priority == _PRIORITY, *conditions).order_by(*URGENCY).limit(1)
    return tasks.correlate_except(Task).scalar_subquery()


_FIRST = select(
    _first_owner(Task.owner > bindparam("after", type_=String)).label("owner"), literal(1).label("number")
).cte("waiting", recursive=True)
_WAITING = _FIRST.union_all(
    select(_first_owner(Task.owner > _FIRST.c.owner), _FIRST.c.number + 1).where(
        _FIRST.c.owner.is_not(None), _FIRST.c.number < bindparam("owners", type_=Integer)
    )
)
_OWNERS = select(_WAITING.c.owner).where(_WAITING.c.owner.is_not(None)).order_by(_WAITING.c.number)

_OWNER = bindparam("of_owner", type_=String)
_OLDEST = (
    select(*DUE_TASK)
    # With an equality, PostgreSQL sorts by id alone and may read the primary key through all ended tasks.
    .where(CLAIMABLE, Task.priority == _PRIORITY, Task.owner.between(_OWNER, _OWNER))
    .order_by(*URGENCY)
    .limit(bindparam("share", type_=Integer))
    .with_for_update(skip_locked=True)
)

_LATER = aliased(Task)
LATER_OWNER = (
    select(_LATER.owner)
    .where(_is_claimable(_LATER), _LATER.priority == Task.priority, _LATER.owner > Task.owner)
    .order_by(*_by_urgency(_LATER))
    .limit(1)
    .scalar_subquery()
    .label("later_owner")
)
"""The next owner by name with a claimable task of this priority; ``NULL`` if no later owner has one."""


class Turns:
    """Decides which owner's turn it is in this process, starting with a random owner.

    In a fixed order, an owner whose tasks crash processes would be first again in each new process.
    """

    def __init__(self, longest_delay: float) -> None:
        self._delay = {"longest_delay": longest_delay}
        self._last: str | None = None

    def record_claim(self, owner: str) -> None:
        """Record the owner whose task was claimed last."""
        self._last = owner

    def lock(self, connection: Connection, priority: int, count: int) -> Sequence[DueTask]:
        """Lock at most ``count`` tasks of this priority in turn and return them; none if others have locked them."""
        owners = self._next_owners(connection, priority, count)
        share = -(-count // max(1, len(owners)))
        shares: list[Sequence[DueTask]] = []
        for owner in owners:
            if sum(map(len, shares)) >= count:
                break
            values = {"priority": priority, "of_owner": owner, "share": share, **self._delay}
            shares.append(connection.execute(_OLDEST, values).all())
        return [task for turn in zip_longest(*shares) for task in turn if task is not None][:count]

    def _next_owners(self, connection: Connection, priority: int, count: int) -> Sequence[str]:
        """Return at most ``count`` owners with claimable tasks of this priority, in the order of their turns."""
        if self._last is None:
            drawn = self._owners(connection, priority, "", MAX_DRAWN)
            first = random.randrange(len(drawn)) if drawn else 0  # noqa: S311 (not for secrets)  # nosec B311
            return [*drawn[first:], *drawn[:first]][:count]
        later = self._owners(connection, priority, self._last, count)
        earlier = self._owners(connection, priority, "", count - len(later)) if len(later) < count else []
        return [*later, *(owner for owner in earlier if owner not in later)]

    def _owners(self, connection: Connection, priority: int, after: str, count: int) -> Sequence[str]:
        values = {"priority": priority, "after": after, "owners": count, **self._delay}
        return connection.scalars(_OWNERS, values).all()
