"""Migration 0012: a webhook has the key of its batch; existing webhooks and batches have none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import text

from tests.support.databases import KINDS, new_database

BATCH = """
    INSERT INTO batches (owner, algorithm, priority, cache, callback_url, tasks, created_at)
    VALUES ('alice', 'flip', 0, true, 'http://127.0.0.1:9/', 2, 0)
"""
KEYED_BATCH = BATCH.replace("(owner", "(key_id, owner").replace("('alice'", "('0123456789ab', 'alice'")
TASKS = """
    INSERT INTO tasks (owner, batch_id, source_id, source_name, source_extension, status, algorithm, priority, cache,
                       result_key, restarts, attempt, crashes, losses, retry_seconds, due_at, created_at, updated_at)
    SELECT 'alice', max(id), 1, 'a', '.jpg', 'processing', 'flip', 0, true, 'key', 0, 1, 0, 0, 0, 0, 0, 0 FROM batches
"""
END = "UPDATE tasks SET status = 'finished' WHERE status = 'processing'"


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with new_database(request.param, tmp_path) as created:
        yield created


def test_a_webhook_has_the_key_of_its_batch_and_earlier_ones_have_none(url: str) -> None:
    migrate(url, "image_processor", "0011")
    database = Database(url)
    with database.begin() as connection:
        for statement in (BATCH, TASKS, END, TASKS):
            connection.execute(text(statement))

    migrate(url, "image_processor")
    with database.begin() as connection:
        for statement in (END, KEYED_BATCH, TASKS, END):
            connection.execute(text(statement))

    with database.connect() as connection:
        keys = connection.execute(text("SELECT key_id FROM callbacks ORDER BY id")).scalars().all()
    assert keys == [None, None, "0123456789ab"]
    database.engine.dispose()
