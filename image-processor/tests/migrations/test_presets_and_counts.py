"""Migrations 0008 and 0009: a database of an earlier version gets presets and keeps its tasks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from image_processor.models import Preset
from image_processor.services.tasks.stats import TaskStats
from service_kit.access.principals import WRITER, Principal
from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import select, text

from tests.support.databases import KINDS, new_database

pytestmark = pytest.mark.slow

ROWS = """
    INSERT INTO tasks (owner, source_id, source_name, source_extension, status, algorithm, priority, cache, result_key,
                       restarts, attempt, crashes, due_at, created_at, updated_at)
    SELECT 'ann', 1, 'a', '.jpg', status, 'flip', 0, true, status, 0, 1, 0, 0, 0, 0
    FROM (SELECT 'pending' AS status UNION SELECT 'cancelled' UNION SELECT 'finished' UNION SELECT 'error') AS made
"""


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with new_database(request.param, tmp_path) as created:
        yield created


def test_earlier_tasks_are_counted_and_presets_are_kept(url: str) -> None:
    migrate(url, "image_processor", "0007")
    database = Database(url)
    with database.begin() as connection:
        connection.execute(text(ROWS))

    migrate(url, "image_processor")

    counted = TaskStats(database).of(Principal("ann", WRITER)).tasks
    assert counted == {"pending": 1, "processing": 0, "error": 1, "cancelled": 1, "finished": 1}
    with database.write() as session:
        session.add(Preset(owner="ann", name="mine", params={"steps": [{"algorithm": "flip"}]}))
    with database.read() as session:
        kept = session.execute(select(Preset)).scalar_one()
    assert (kept.name, kept.params) == ("mine", {"steps": [{"algorithm": "flip"}]})
    database.engine.dispose()
