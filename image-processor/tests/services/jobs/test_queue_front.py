"""The id at which a process starts to look for claimable tasks."""

from collections.abc import Sequence

import pytest
from image_processor.config import RetrySettings
from image_processor.models import Task, TaskStatus
from image_processor.services.jobs import queue_front
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.outcomes import Claim, Ended, Finished, Holder
from image_processor.services.jobs.queue_front import QueueFront
from image_processor.services.tasks.changes import cancel_tasks, restart_tasks
from service_kit.database import Database
from sqlalchemy import Connection, insert, select

HOLDER = Holder("one", 11)
ONLY_POSTGRESQL = pytest.mark.parametrize(
    "each_database", [pytest.param("postgresql", marks=pytest.mark.server)], indirect=True
)


@pytest.fixture
def database(each_database: Database) -> Database:
    return each_database


@pytest.fixture
def claims(database: Database, retry: RetrySettings) -> ClaimService:
    return ClaimService(database, retry, lease_seconds=60, processes=1)


@pytest.fixture
def looked() -> QueueFront:
    return QueueFront(longest_delay=60)


def add(connection: Connection, count: int, **values: object) -> Sequence[int]:
    row = {"source_id": 1, "algorithm": "flip", **values}
    return sorted(connection.scalars(insert(Task).returning(Task.id), [row] * count))


def add_tasks(database: Database, count: int, **values: object) -> Sequence[int]:
    with database.begin() as connection:
        return add(connection, count, **values)


def look(database: Database, front: QueueFront, count: int = 100) -> list[int]:
    with database.connect() as connection:
        return [row.id for row in front.look(connection, count)]


def pending(database: Database) -> Sequence[int]:
    """Return the ids of all pending tasks, in the order of a look."""
    order = (Task.priority.desc(), Task.owner, Task.id)
    with database.connect() as connection:
        return connection.scalars(select(Task.id).where(Task.status == TaskStatus.PENDING).order_by(*order)).all()


def finish(claims: ClaimService, count: int) -> Sequence[Claim]:
    claimed = claims.claim(HOLDER, count)
    claims.end([Ended(claim, Finished(1)) for claim in claimed])
    return claimed


def pass_tasks(database: Database, claims: ClaimService, front: QueueFront, **values: object) -> list[int]:
    """Add and finish tasks until ``front`` is above some of them; return the ids of the pending ones."""
    ids = add_tasks(database, 9, **values)
    for _ in range(3):
        look(database, front)
        finish(claims, 2)
    return list(ids[6:])


@ONLY_POSTGRESQL
def test_a_look_begins_above_the_tasks_that_were_claimed(
    database: Database, claims: ClaimService, looked: QueueFront
) -> None:
    pending = pass_tasks(database, claims, looked)

    add_tasks(database, 1, id=-1)

    assert look(database, looked) == pending, "an index entry below would be read"


def test_an_unexpected_id_is_found_when_the_process_forgets_where_it_began(
    database: Database, claims: ClaimService, looked: QueueFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_front, "FORGET_SECONDS", 0)
    pending = pass_tasks(database, claims, looked)

    add_tasks(database, 1, id=-1)

    assert look(database, looked) == [-1, *pending]


def test_a_task_that_is_handed_back_is_the_first_again(
    database: Database, claims: ClaimService, looked: QueueFront
) -> None:
    [first, *_] = add_tasks(database, 1)
    held = claims.claim(HOLDER)
    pending = pass_tasks(database, claims, looked)

    claims.hand_back(held)

    assert look(database, looked) == [first, *pending]


def test_a_task_that_was_cancelled_before_its_first_attempt_is_found_when_it_is_restarted(
    database: Database, claims: ClaimService, looked: QueueFront
) -> None:
    [first] = add_tasks(database, 1)
    with database.begin() as connection:
        cancel_tasks(connection, [first])
    pending = pass_tasks(database, claims, looked)

    with database.begin() as connection:
        restart_tasks(connection, [first])

    assert look(database, looked) == [first, *pending]


def test_tasks_of_every_other_priority_and_owner_are_found_in_their_order(
    database: Database, claims: ClaimService, looked: QueueFront
) -> None:
    pending = pass_tasks(database, claims, looked, owner="m", priority=5)

    [last] = add_tasks(database, 1, owner="m", priority=4)
    [later] = add_tasks(database, 1, owner="z", priority=5)
    [earlier] = add_tasks(database, 1, owner="a", priority=5)
    [urgent] = add_tasks(database, 1, owner="z", priority=6)

    assert look(database, looked) == [urgent, earlier, *pending, later, last]
    assert look(database, looked, 3) == [urgent, earlier, pending[0]]


@ONLY_POSTGRESQL
def test_each_priority_has_its_own_beginning(database: Database, claims: ClaimService, looked: QueueFront) -> None:
    low = pass_tasks(database, claims, looked, priority=1)
    high = pass_tasks(database, claims, looked, priority=8)

    add_tasks(database, 1, id=-1, priority=1)
    add_tasks(database, 1, id=-2, priority=8)

    assert look(database, looked) == [*high, *low], "index entries below would be read"


@ONLY_POSTGRESQL
@pytest.mark.parametrize("is_first", [True, False])
def test_tasks_of_a_transaction_that_ends_late_are_found(
    database: Database, claims: ClaimService, looked: QueueFront, is_first: bool
) -> None:
    if not is_first:
        look(database, looked)
    with database.begin() as late:
        below = add(late, 2)
        pending = pass_tasks(database, claims, looked)

    assert [look(database, looked) for _ in range(2)] == [[*below, *pending]] * 2


@ONLY_POSTGRESQL
def test_tasks_of_several_owners_are_found_while_they_end_and_others_arrive(
    database: Database, claims: ClaimService, looked: QueueFront
) -> None:
    for owner in ("b", "a", "c", "a"):
        add_tasks(database, 5, owner=owner)
        assert look(database, looked) == pending(database)
        finish(claims, 4)

    assert look(database, looked) == pending(database)


@ONLY_POSTGRESQL
def test_a_process_starts_again_on_a_server_with_earlier_transactions(database: Database, looked: QueueFront) -> None:
    look(database, looked)
    later = looked._seen
    assert later is not None
    looked._seen = later._replace(next_transaction=later.next_transaction + 1_000_000)

    add_tasks(database, 1, id=-1)

    assert look(database, looked) == [-1]
