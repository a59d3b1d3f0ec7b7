"""Orders pending tasks: by priority; within a priority owners take turns, each with its oldest task."""

import random
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from service_kit.database import epoch_now
from sqlalchemy import BigInteger, Connection, Double, Integer, Row, SmallInteger, String, bindparam, select

from image_processor.models import Task, TaskStatus
from image_processor.services.jobs.transitions import has_status

SUSPECT_LOSSES = 3
"""Number of lost workers after which a task is suspected as the cause."""

DueTask = Row[int, str, int, bool]
"""The id, owner, priority and ``suspect`` of a claimable task."""


class Beginning(NamedTuple):
    """Where the tasks of one owner and priority begin.

    :param id: the first id of its claimable tasks, apart from tasks that are pending again.
    :param has_returned: whether tasks that are pending again may have lower ids.
    """

    id: int
    has_returned: bool = False


# A task due later than the longest delay was postponed before the database's clock was set back.
_IS_DUE = ~Task.due_at.between(epoch_now(), epoch_now() + bindparam("longest_delay", type_=Double))
CLAIMABLE = (Task.status == TaskStatus.PENDING) & _IS_DUE
CLAIMABLE_BY_ID = has_status(TaskStatus.PENDING) & _IS_DUE
"""The same condition for tasks whose ids are known."""
RETURNED = (Task.attempt > 0) | (Task.restarts > 0)
"""The condition for pending tasks that were claimed or restarted before."""
# The order of the index of pending tasks. Without it, the planner may scan all ended tasks for "any" pending task.
URGENCY = (Task.priority.desc(), Task.owner.asc(), Task.id.asc())
SUSPECT = ((Task.crashes > 0) | (Task.losses >= SUSPECT_LOSSES)).label("suspect")
DUE_TASK = (Task.id, Task.owner, Task.priority, SUSPECT)

_OWNER = bindparam("of_owner", type_=String)
_BEGIN = bindparam("begin", type_=BigInteger)
_OWN = (
    select(*DUE_TASK)
    # With an equality, PostgreSQL sorts by id alone and may read the primary key through all ended tasks.
    .where(CLAIMABLE, Task.priority == bindparam("priority", type_=SmallInteger), Task.owner.between(_OWNER, _OWNER))
    .order_by(*URGENCY)
    .limit(bindparam("share", type_=Integer))
    .with_for_update(skip_locked=True)
)
_RETURNED_BELOW = _OWN.where(RETURNED, Task.id < _BEGIN)
_FROM_BEGIN = _OWN.where(Task.id >= _BEGIN)


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

    def lock(
        self, connection: Connection, priority: int, owners: Mapping[str, Beginning], count: int
    ) -> Sequence[DueTask]:
        """Lock at most ``count`` tasks of this priority in turn and return them; none if others have locked them.

        :param owners: those with claimable tasks of this priority.
        """
        chosen = self._in_turn(owners)[:count]
        share = -(-count // max(1, len(chosen)))
        shares: list[Sequence[DueTask]] = []
        for owner in chosen:
            if sum(map(len, shares)) >= count:
                break
            values = {"priority": priority, "of_owner": owner, **self._delay}
            shares.append(_lock_own(connection, values, owners[owner], share))
        return [task for turn in zip_longest(*shares) for task in turn if task is not None][:count]

    def _in_turn(self, owners: Mapping[str, Beginning]) -> Sequence[str]:
        names = sorted(owners)
        if self._last is None:
            first = random.randrange(len(names)) if names else 0  # noqa: S311 (not for secrets)  # nosec B311
        else:
            first = sum(name <= self._last for name in names)
        return [*names[first:], *names[:first]]


def _lock_own(
    connection: Connection, values: Mapping[str, object], beginning: Beginning, share: int
) -> Sequence[DueTask]:
    """Lock an owner's ``share`` of tasks, the oldest first."""
    locked: list[DueTask] = []
    if beginning.has_returned:
        locked += connection.execute(_RETURNED_BELOW, {**values, "begin": beginning.id, "share": share})
    if len(locked) < share:
        locked += connection.execute(_FROM_BEGIN, {**values, "begin": beginning.id, "share": share - len(locked)})
    return locked
