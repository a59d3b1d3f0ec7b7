"""A claim reads few pages while a snapshot is held, as by ``pg_dump``: VACUUM removes no index entry of ended tasks."""

from collections.abc import Iterator

import psycopg
import pytest
from image_processor.config import RetrySettings
from image_processor.models import Task
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.outcomes import Ended, Finished, Holder
from service_kit.database import Database
from sqlalchemy import insert, text

from tests.support.databases import libpq_url
from tests.support.pages_read import PagesRead

pytestmark = pytest.mark.server

HOLDER = Holder("one", 11)
GONE = 3000
"""Number of tasks that come and go while the snapshot is held; a query that reads them all reads over 300 pages."""
MAX_PAGES = 100
COME_AND_GONE = [
    "SET session_replication_role = replica",
    """
    INSERT INTO tasks (owner, source_id, source_name, source_extension, status, algorithm, priority, cache, result_key,
                       restarts, attempt, crashes, due_at, created_at, updated_at)
    SELECT CASE WHEN n % 2 = 0 THEN 'a' ELSE 'm' || n % 5 END, n, 'a', '.jpg', 'pending', 'flip', {priority}, true,
           md5(n::text), 0, 0, 0, 0, n, n
    FROM generate_series(1, {count}) n
    """,
    "UPDATE tasks SET status = 'processing', attempt = 1 WHERE status = 'pending' AND source_id > 0",
    "UPDATE tasks SET status = 'finished' WHERE status = 'processing' AND source_id > 0",
]


@pytest.fixture
def server(postgresql: str) -> Iterator[Database]:
    """Return a database without tasks, of which a snapshot is held."""
    server = Database(postgresql)
    with server.begin() as connection:
        connection.execute(text("TRUNCATE tasks, batches, task_events, unended_tasks, ended_tasks"))
    with psycopg.connect(libpq_url(postgresql)) as dump:
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        dump.execute("SELECT count(*) FROM tasks WHERE false")
        yield server
    server.engine.dispose()


@pytest.fixture
def claims(server: Database, retry: RetrySettings) -> ClaimService:
    return ClaimService(server, retry, lease_seconds=60, processes=1)


def come_and_go(server: Database, priority: int) -> None:
    with server.begin() as connection:
        for statement in COME_AND_GONE:
            connection.execute(text(statement.format(priority=priority, count=GONE)))
        connection.execute(text("SET session_replication_role = DEFAULT"))
    with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE tasks"))


def add_tasks(server: Database, owner: str, priority: int, count: int = 20) -> None:
    # The tasks that come and go have other source ids.
    row = {"source_id": -1, "algorithm": "flip", "owner": owner, "priority": priority}
    with server.begin() as connection:
        connection.execute(insert(Task), [row] * count)


def finish(claims: ClaimService, count: int = 4) -> list[str]:
    """Claim and finish tasks; return their owners."""
    claimed = claims.claim(HOLDER, count)
    claims.end([Ended(claim, Finished(1)) for claim in claimed])
    return [claim.owner for claim in claimed]


def pages_of(server: Database, claims: ClaimService) -> int:
    """Return the largest number of pages that a query of a claim, of the relay or of a poll reads."""
    pages = PagesRead(server.engine, server.engine.url.render_as_string(hide_password=False))
    finish(claims)
    claims.claimable(32)
    claims.is_pending_above(0)
    pages.close()
    assert pages.statements >= 5
    return pages.most


@pytest.mark.parametrize("known_before", [True, False])
def test_ended_tasks_of_a_higher_priority_are_not_read_again(
    server: Database, claims: ClaimService, known_before: bool
) -> None:
    if known_before:
        finish(claims)
    come_and_go(server, priority=9)
    add_tasks(server, "a", priority=0)
    finish(claims)

    assert pages_of(server, claims) < MAX_PAGES


def test_ended_tasks_of_other_owners_are_not_read_again(server: Database, claims: ClaimService) -> None:
    add_tasks(server, "b", priority=0)
    come_and_go(server, priority=0)
    add_tasks(server, "a", priority=0)
    add_tasks(server, "m1", priority=0)
    finish(claims)

    assert pages_of(server, claims) < MAX_PAGES
    assert set(finish(claims, 6)) == {"a", "b", "m1"}


def test_an_empty_queue_is_not_searched_from_its_beginning(server: Database, claims: ClaimService) -> None:
    come_and_go(server, priority=5)
    finish(claims)
    pages = PagesRead(server.engine, server.engine.url.render_as_string(hide_password=False))

    claimable = claims.claimable(32)
    pages.close()

    assert claimable == 0
    assert pages.most < MAX_PAGES


def test_the_tasks_of_a_burst_are_read_once(server: Database, claims: ClaimService) -> None:
    finish(claims)
    add_tasks(server, "a", priority=0, count=GONE)
    claims.claimable(1)

    assert pages_of(server, claims) < MAX_PAGES
