"""Migration 0008: the problem of a failed task appears in its event and its webhook; existing rows stay unchanged."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import text

from tests.support.databases import KINDS, new_database

pytestmark = pytest.mark.slow

EARLIER = """
    INSERT INTO tasks (owner, source_id, source_name, source_extension, status, algorithm, priority, cache, result_key,
                       restarts, attempt, crashes, losses, retry_seconds, due_at, created_at, updated_at, error,
                       callback_url)
    VALUES ('local', 1, 'a', '.jpg', :status, 'flip', 0, true, :status, 0, 1, 0, 0, 0, 0, 0, 0, :error,
            :callback_url)
"""
URL = "http://127.0.0.1:9/"
FAIL = "UPDATE tasks SET status = 'error', error = 'no', error_problem = '{}' WHERE status = 'processing'"


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with new_database(request.param, tmp_path) as created:
        yield created


def test_a_problem_reaches_the_event_and_the_webhook_and_earlier_errors_have_none(url: str) -> None:
    migrate(url, "image_processor", "0007")
    database = Database(url)
    with database.begin() as connection:
        connection.execute(
            text(EARLIER),
            [
                {"status": "error", "error": "old", "callback_url": None},
                {"status": "processing", "error": None, "callback_url": URL},
            ],
        )

    migrate(url, "image_processor")
    with database.begin() as connection:
        connection.execute(text(FAIL))

    with database.connect() as connection:
        rows = connection.execute(text("SELECT error, error_problem FROM tasks ORDER BY id")).all()
        events = connection.execute(text("SELECT status, error_problem FROM task_events ORDER BY id")).all()
        callbacks = connection.execute(text("SELECT status, error_problem FROM callbacks ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [("old", None), ("no", "{}")]
    assert [tuple(row) for row in events] == [("error", None), ("processing", None), ("error", "{}")]
    assert [tuple(row) for row in callbacks] == [("error", "{}")]
    database.engine.dispose()
