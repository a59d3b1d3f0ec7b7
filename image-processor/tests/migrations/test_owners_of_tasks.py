"""Migration 0007: existing rows belong to the owner ``local``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from image_processor.services.tasks.unended import unended_tasks
from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import text

from tests.support.databases import KINDS, new_database

pytestmark = pytest.mark.slow

ROWS = [
    """
    INSERT INTO tasks (source_id, source_name, source_extension, status, algorithm, priority, cache, result_key,
                       restarts, attempt, crashes, due_at, created_at, updated_at)
    SELECT 1, 'a', '.jpg', status, 'flip', 0, true, status, 0, 1, 0, 0, 0, 0
    FROM (SELECT 'pending' AS status UNION SELECT 'processing' UNION SELECT 'finished' UNION SELECT 'error') AS made
    """,
    """
    INSERT INTO callbacks (task_id, url, status, tries, due_at, created_at)
    VALUES (1, 'http://127.0.0.1:9/', 'finished', 1, 0, 0)
    """,
    "INSERT INTO discarded_results (key, due_at) VALUES ('key', 0)",
]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with new_database(request.param, tmp_path) as created:
        yield created


def test_earlier_rows_belong_to_the_local_owner_and_its_tasks_are_counted(url: str) -> None:
    migrate(url, "image_processor", "0005")
    database = Database(url)
    with database.begin() as connection:
        for statement in ROWS:
            connection.execute(text(statement))

    migrate(url, "image_processor")

    with database.connect() as connection:
        for table in ("tasks", "task_events", "callbacks", "discarded_results"):
            assert connection.scalars(text(f"SELECT DISTINCT owner FROM {table}")).all() == ["local"]
        assert unended_tasks(connection, "local") == 2
    with database.begin() as connection:
        connection.execute(text("UPDATE tasks SET status = 'finished', callback_url = 'http://127.0.0.1:9/'"))
        assert unended_tasks(connection, "local") == 0
        assert connection.scalars(text("SELECT DISTINCT attempt FROM callbacks ORDER BY attempt")).all() == [0, 1]
    database.engine.dispose()
