"""Migration 0008: existing tasks keep their params and their webhook; new ones have those of their batch."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from image_processor.models import Batch, Task
from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import insert, text

from tests.support.databases import KINDS, new_database

pytestmark = pytest.mark.slow

OLD = """
    INSERT INTO tasks (owner, source_id, source_name, source_extension, status, algorithm, params, callback_url,
                       priority, cache, result_key, restarts, attempt, crashes, due_at, created_at, updated_at)
    SELECT 'ann', 1, 'a', '.jpg', status, 'blur', '{"radius": 3}', 'http://127.0.0.1:9/own',
           0, true, status, 0, 1, 0, 0, 0, 0
    FROM (SELECT 'pending' AS status UNION SELECT 'processing' UNION SELECT 'finished' UNION SELECT 'error'
          UNION SELECT 'cancelled') AS made
"""


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with new_database(request.param, tmp_path) as created:
        yield created


def test_earlier_tasks_stay_as_they_are_and_their_webhooks_go_on(url: str) -> None:
    migrate(url, "image_processor", "0007")
    database = Database(url)
    with database.begin() as connection:
        connection.execute(text(OLD))
        # PostgreSQL also writes a webhook for a task that is inserted in a final state.
        connection.execute(text("DELETE FROM callbacks"))
        before = connection.execute(text("SELECT id, owner, status, params, callback_url FROM tasks ORDER BY id")).all()

    migrate(url, "image_processor")

    with database.begin() as connection:
        kept = connection.execute(text("SELECT id, owner, status, params, callback_url FROM tasks ORDER BY id")).all()
        assert kept == before
        batch_id = connection.execute(
            insert(Batch)
            .values(algorithm="flip", tasks=1, callback_url="http://127.0.0.1:9/shared")
            .returning(Batch.id)
        ).scalar_one()
        connection.execute(insert(Task).values(source_id=1, algorithm="flip", batch_id=batch_id))
        connection.execute(text("UPDATE tasks SET status = 'finished' WHERE status = 'pending'"))
        assert connection.scalars(text("SELECT url FROM callbacks ORDER BY url")).all() == [
            "http://127.0.0.1:9/own",
            "http://127.0.0.1:9/shared",
        ]
        of_batch = text("SELECT status FROM task_events WHERE batch_id = :batch AND task_id > 0 ORDER BY id")
        assert connection.scalars(of_batch, {"batch": batch_id}).all() == ["pending", "finished"]
    database.engine.dispose()
