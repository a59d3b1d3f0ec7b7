"""The id at which a process starts to look for claimable tasks."""

from collections.abc import Sequence

import pytest
from image_processor.config import RetrySettings
from image_processor.models import Batch, Task
from image_processor.services.jobs import queue_front
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.outcomes import Claim, Ended, Finished, Holder
from image_processor.services.jobs.queue_front import QueueFront
from image_processor.services.tasks.changes import cancel_tasks, restart_tasks
from service_kit.database import Database, own_transaction
from sqlalchemy import Connection, insert, select

HOLDER = Holder("one", 11)


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


def test_each_priority_has_its_own_beginning(database: Database, claims: ClaimService, looked: QueueFront) -> None:
    low = pass_tasks(database, claims, looked, priority=1)
    high = pass_tasks(database, claims, looked, priority=8)

    add_tasks(database, 1, id=-1, priority=1)
    add_tasks(database, 1, id=-2, priority=8)

    assert look(database, looked) == [*high, *low], "index entries below would be read"


@pytest.mark.parametrize("each_database", [pytest.param("postgresql", marks=pytest.mark.server)], indirect=True)
def test_tasks_of_a_transaction_that_ends_late_are_found(
    database: Database, claims: ClaimService, looked: QueueFront
) -> None:
    with database.begin() as late:
        below = add(late, 2)
        pending = pass_tasks(database, claims, looked)

    assert [look(database, looked) for _ in range(2)] == [[*below, *pending]] * 2


@pytest.mark.parametrize("each_database", [pytest.param("postgresql", marks=pytest.mark.server)], indirect=True)
def test_tasks_with_the_lower_ids_of_the_later_of_two_transactions_are_found(
    database: Database, looked: QueueFront
) -> None:
    with database.begin() as later:
        # The end of a claim is recorded before the process looks, in the same transaction.
        with database.begin() as process:
            process.execute(select(own_transaction()))
            with database.begin() as earlier:
                earlier.execute(insert(Batch).values(algorithm="flip", tasks=2))
                later.execute(insert(Batch).values(algorithm="flip", tasks=2))
                below = add(later, 2)
                above = add(earlier, 2)
            while_it_runs = [[row.id for row in looked.look(process, 100)] for _ in range(2)]
        while_it_runs += [look(database, looked) for _ in range(2)]

    assert while_it_runs == [above] * 4
    assert look(database, looked) == [*below, *above]
