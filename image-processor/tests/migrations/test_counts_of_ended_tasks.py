"""Migration 0014 counts the tasks of an earlier version by status, and recent ones by the day of their end."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from image_processor.models import TaskStatus
from image_processor.services.tasks.ended import ends_by_day, tasks_by_status
from service_kit.database import Database
from sqlalchemy import text

from tests.support.databases import KINDS
from tests.support.earlier import earlier_database, upgrade

pytestmark = pytest.mark.slow

_NOW = {"sqlite": "(julianday('now') - 2440587.5) * 86400.0", "postgresql": "extract(epoch from now())"}
_TASKS = """
    INSERT INTO tasks (owner, source_id, source_name, source_extension, status, algorithm, priority, cache, result_key,
                       restarts, attempt, crashes, due_at, created_at, ended_at, updated_at)
    SELECT 'ann', 1, 'a', '.jpg', status, 'flip', 0, true, status, 0, 1, 0, 0, 0, {ended_at}, 0
    FROM (SELECT 'pending' AS status UNION SELECT 'processing' UNION SELECT 'cancelled' UNION SELECT 'finished'
          UNION SELECT 'error') AS made
"""


def _rows(dialect: str) -> list[str]:
    return [_TASKS.format(ended_at="NULL"), _TASKS.format(ended_at=_NOW[dialect])]


@pytest.fixture(params=KINDS)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database of the previous revision with rows."""
    rows = _rows(request.param)
    with earlier_database(request.param, tmp_path, "image_processor", "0013", rows) as database:
        yield database


def test_tasks_of_an_earlier_version_are_counted(earlier: Database) -> None:
    upgrade(earlier, "image_processor")

    with earlier.read() as session:
        assert tasks_by_status(session, "ann") == dict.fromkeys(TaskStatus, 2)
        # Tasks without a known end are taken to have ended at their last change, in 1970.
        assert ends_by_day(session, "ann")[-1].tasks == {"finished": 1, "error": 1, "cancelled": 1}


def test_tasks_of_an_earlier_version_leave_the_counts_when_they_are_deleted(earlier: Database) -> None:
    upgrade(earlier, "image_processor")

    with earlier.begin() as connection:
        connection.execute(text("DELETE FROM tasks WHERE status IN ('finished', 'pending')"))

    with earlier.read() as session:
        assert tasks_by_status(session, "ann") == {
            "pending": 0,
            "processing": 2,
            "finished": 0,
            "error": 2,
            "cancelled": 2,
        }
