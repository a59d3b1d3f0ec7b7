"""All requests share few database connections through PgBouncer in transaction mode."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import FILES, TASKS, Served, ended_task
from tests.support.folders import temporary_folder
from tests.support.images import photo
from tests.support.processes import kill_all, skip_where_missing
from tests.support.servers import query
from tests.support.stacks import PooledStack

pytestmark = pytest.mark.thorough

CLIENTS = 8
"""More than the number of connections per role."""
REPEATS = 12
"""psycopg would prepare a statement after sending it five times."""


@pytest.fixture(scope="module")
def pooled() -> Iterator[PooledStack]:
    folder = temporary_folder("pooled")
    with skip_where_missing():
        try:
            stack = PooledStack(folder)
        except BaseException:
            kill_all(folder)
            raise
    yield stack
    stack.stop()


def test_files_and_tasks_of_many_clients_share_few_connections(pooled: PooledStack) -> None:
    def work(number: int) -> set[str]:
        with Served(pooled.url) as pixmill:
            statuses = set()
            for repeat in range(REPEATS):
                source = pixmill.files.upload(photo(60 + number, 50 + repeat), name=f"{number}-{repeat}.png").id
                [task_id] = pixmill.run([source], "flip").task_ids
                for path in (f"{FILES}/?name={number}&sort=-size", f"{FILES}/{source}/download", f"{TASKS}/?limit=5"):
                    pixmill.http.get(path).raise_for_status()
                statuses.add(ended_task(pixmill, task_id).status)
            return statuses

    with ThreadPoolExecutor(CLIENTS) as clients:
        outcomes = list(clients.map(work, range(CLIENTS)))

    assert outcomes == [{"finished"}] * CLIENTS
    pooled.check_files()
    most = query(
        pooled.postgres_port,
        "SELECT max(count) FROM (SELECT count(*) FROM pg_stat_activity WHERE usename != 'pixmill' GROUP BY usename) s",
    )
    assert int(most) <= 2
