"""Counts an owner's tasks that have not ended, from counters that triggers maintain, so that no query counts tasks."""

import hashlib

from service_kit.access.principals import Principal
from service_kit.database import Database, dialect_of, one_at_a_time
from service_kit.errors import DomainError
from service_kit.texts import counted
from sqlalchemy import BigInteger, Connection, Sequence, cast, delete, func, insert, select, tuple_

from image_processor.models import UnendedTasks

RETRY_SECONDS = 5
"""Seconds after which a client with too many tasks may try again."""
MAX_PARTS = 100
"""Number of rows that an owner may have before they are folded into one."""
MAX_FOLDED = 100_000
"""Maximum number of rows folded in one transaction."""

_TASKS = cast(func.coalesce(func.sum(UnendedTasks.tasks), 0), BigInteger)
_KEY = tuple_(UnendedTasks.owner, UnendedTasks.part)


def unended_tasks(connection: Connection, owner: str) -> int:
    """Return the number of the owner's pending and processing tasks, including changes of this transaction."""
    return connection.execute(select(_TASKS).where(UnendedTasks.owner == owner)).scalar_one()


def take_turn(connection: Connection, principal: Principal) -> None:
    """Make other transactions of an owner with a limit wait for this one, so that they cannot exceed it together."""
    if principal.limits.pending_tasks is not None:
        number = int.from_bytes(
            hashlib.sha256(f"unended tasks of {principal.owner}".encode()).digest()[:8], signed=True
        )
        connection.execute(select(one_at_a_time(number)))


def check_limit(connection: Connection, principal: Principal, more: int) -> None:
    """Check the owner's limit of tasks, after :func:`take_turn` and after ``more`` tasks became pending.

    :raises DomainError: ``too-many-pending-tasks``; the transaction must not be committed.
    """
    limit = principal.limits.pending_tasks
    if limit is None:
        return
    unended = unended_tasks(connection, principal.owner)
    if more and unended > limit:
        raise too_many(principal, limit, unended - more, more)


def too_many(principal: Principal, limit: int, unended: int, more: int) -> DomainError:
    """Return the error of an owner who would exceed the limit."""
    detail = counted(
        "The owner '{owner}' may have at most {limit} task that has not ended; there are {unended}, and "
        "{more} more would exceed the limit.",
        "The owner '{owner}' may have at most {limit} tasks that have not ended; there are {unended}, and"
        " {more} more would exceed the limit.",
        "limit",
        owner=principal.owner,
        limit=limit,
        unended=unended,
        more=more,
    )
    # A batch larger than the limit can never succeed, so a retry is pointless.
    return DomainError("too-many-pending-tasks", detail, retry_after=RETRY_SECONDS if more <= limit else None)


def fold(database: Database) -> int:
    """On PostgreSQL, fold the rows of each owner with many rows into one; return the number of these owners."""
    with database.connect() as connection:
        many = select(UnendedTasks.owner).group_by(UnendedTasks.owner).having(func.count() > MAX_PARTS)
        owners = connection.scalars(many).all() if dialect_of(connection) == "postgresql" else []
    for owner in owners:
        with database.begin() as connection:
            _fold(connection, owner)
    return len(owners)


def _fold(connection: Connection, owner: str) -> None:
    parts = select(UnendedTasks.owner, UnendedTasks.part).where(UnendedTasks.owner == owner).limit(MAX_FOLDED)
    deleted = (
        delete(UnendedTasks).where(_KEY.in_(parts.with_for_update(skip_locked=True))).returning(UnendedTasks.tasks)
    )
    tasks = sum(connection.scalars(deleted))
    part = Sequence("unended_tasks_part").next_value()
    connection.execute(insert(UnendedTasks).values(owner=owner, part=part, tasks=tasks))
