"""Owners take turns: many tasks of one owner delay the tasks of others by at most one turn."""

import math
from collections import Counter
from collections.abc import Sequence

import pytest
from image_processor.config import RetrySettings
from image_processor.models import Task
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Claim, Holder
from service_kit.database import Database
from sqlalchemy import insert

HOLDER = Holder("one", 11)


@pytest.fixture
def database(each_database: Database) -> Database:
    return each_database


@pytest.fixture
def claims(database: Database, retry: RetrySettings) -> ClaimService:
    return ClaimService(database, retry, lease_seconds=60, processes=1)


def add_tasks(database: Database, owner: str, count: int, priority: int = 0) -> Sequence[int]:
    row = {"source_id": 1, "algorithm": "flip", "owner": owner, "priority": priority}
    with database.write() as session:
        return sorted(session.scalars(insert(Task).returning(Task.id), [row] * count))


def owners_of(claims: Sequence[Claim]) -> list[str]:
    return [claim.owner for claim in claims]


def test_the_only_task_of_an_owner_is_among_the_next_two_although_another_has_a_thousand(
    claims: ClaimService, database: Database
) -> None:
    add_tasks(database, "many", 1000)
    claims.claim(HOLDER, 5)
    [only] = add_tasks(database, "one", 1)

    following = [claims.claim(HOLDER)[0].task_id for _ in range(2)]

    assert only in following


def test_an_owner_whose_name_comes_first_or_last_waits_no_longer(claims: ClaimService, database: Database) -> None:
    for owner in ("a", "m", "z"):
        add_tasks(database, owner, 20)

    taken = [claims.claim(HOLDER)[0].owner for _ in range(30)]

    assert all(set(taken[first : first + 3]) == {"a", "m", "z"} for first in range(28))


def test_a_batch_has_as_many_tasks_of_each_owner_the_oldest_first(claims: ClaimService, database: Database) -> None:
    tasks = {owner: add_tasks(database, owner, 50) for owner in ("a", "b", "c")}

    claimed = claims.claim(HOLDER, 12)

    assert Counter(owners_of(claimed)) == {"a": 4, "b": 4, "c": 4}
    assert owners_of(claimed)[:3] == owners_of(claimed)[3:6], "turn by turn"
    for owner, ids in tasks.items():
        assert [claim.task_id for claim in claimed if claim.owner == owner] == ids[:4]


def test_a_batch_is_for_as_many_owners_as_it_has_tasks(claims: ClaimService, database: Database) -> None:
    names = [f"owner-{number:02}" for number in range(40)]
    for name in names:
        add_tasks(database, name, 3)

    seen = [owner for _ in range(5) for owner in owners_of(claims.claim(HOLDER, 8))]

    assert sorted(seen) == names


def test_a_more_urgent_task_has_precedence_over_all_turns(claims: ClaimService, database: Database) -> None:
    add_tasks(database, "a", 10)
    add_tasks(database, "b", 10)
    urgent = add_tasks(database, "z", 3, priority=5)

    claimed = [claims.claim(HOLDER)[0].task_id for _ in range(3)]

    assert claimed == urgent


def test_the_rest_of_a_batch_with_urgent_tasks_is_not_for_the_owner_whose_name_comes_first(
    claims: ClaimService, database: Database
) -> None:
    add_tasks(database, "a", 10)
    add_tasks(database, "z", 10)
    [urgent] = add_tasks(database, "a", 1, priority=9)

    batches = [claims.claim(HOLDER, 5) for _ in range(2)]

    assert [claim.task_id for claim in batches[0]] == [urgent]
    assert set(owners_of(batches[1])) == {"a", "z"}


def test_every_task_is_claimed_once(claims: ClaimService, database: Database) -> None:
    created = [
        task for owner in ("a", "b", "c") for priority in (0, 3) for task in add_tasks(database, owner, 7, priority)
    ]

    claimed: list[int] = []
    while batch := claims.claim(HOLDER, 5):
        claimed += [claim.task_id for claim in batch]

    assert sorted(claimed) == sorted(created)
    assert len(set(claimed)) == len(claimed)


def test_an_owner_whose_tasks_kill_every_process_is_not_always_first_in_the_next(
    database: Database, retry: RetrySettings
) -> None:
    add_tasks(database, "attacker", 100)
    add_tasks(database, "victim", 100)

    processes = [ClaimService(database, retry, lease_seconds=60, processes=1) for _ in range(40)]
    first = Counter(claims.claim(HOLDER)[0].owner for claims in processes)

    assert first["victim"] > 0, f"one in 2^40 would be chance: {first}"
    assert first["attacker"] > 0, f"one in 2^40 would be chance: {first}"


def test_a_task_that_reached_its_time_limit_is_not_tried_again(
    claims: ClaimService, database: Database, retry: RetrySettings
) -> None:
    [task_id] = add_tasks(database, "a", 1)
    [claim] = claims.claim(HOLDER)

    leases = LeaseService(database, retry, lease_seconds=60)
    leases.overran(HOLDER, claim.task_id, claim.attempt, "it took longer than 60 seconds")

    with database.read() as session:
        task = session.get_one(Task, task_id)
    assert (task.status, task.attempt) == ("error", 1)
    assert task.error is not None
    assert "it took longer than 60 seconds" in task.error
    assert claims.claim(HOLDER) == []


@pytest.mark.parametrize(("pending", "share"), [(100, 10), (20, 7), (8, 3)])
def test_a_process_claims_at_most_its_share_of_the_tasks_of_all_owners(
    database: Database, retry: RetrySettings, pending: int, share: int
) -> None:
    add_tasks(database, "a", pending // 2)
    add_tasks(database, "b", pending // 2)
    claims = ClaimService(database, retry, lease_seconds=60, processes=3)

    claimed = claims.claim(HOLDER, 10)

    assert len(claimed) == share
    assert max(Counter(owners_of(claimed)).values()) == math.ceil(share / 2)
