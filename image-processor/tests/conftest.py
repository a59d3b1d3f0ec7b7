"""Fixtures: the task database and the services that use it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from image_processor.config import BrokerSettings, RetrySettings
from image_processor.handler.celery_app import create_celery
from image_processor.handler.queue import CeleryTaskQueue
from image_processor.models import EndedTasks, Task, TaskEvent
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.tasks.queue import Hints
from service_kit.database import Database
from sqlalchemy import delete

from tests.support.databases import empty_sqlite, migrated_postgres_database


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(empty_sqlite(tmp_path / "tasks.db", "image_processor"))


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """Return the URL of a PostgreSQL database with the newest schema."""
    with migrated_postgres_database("tasks", "image_processor") as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def each_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database without tasks; tests run on both SQLite and PostgreSQL."""
    if request.param == "sqlite":
        yield Database(empty_sqlite(tmp_path / "tasks.db", "image_processor"))
        return
    server = Database(request.getfixturevalue("postgresql"))
    with server.write() as session:
        for table in (Task, TaskEvent, EndedTasks):
            session.execute(delete(table))
    yield server
    server.engine.dispose()


@pytest.fixture
def hints() -> Hints:
    broker = BrokerSettings(url="memory://", queue_type="classic", transport_options={})
    return Hints(CeleryTaskQueue(create_celery(broker)), 1)


@pytest.fixture
def retry() -> RetrySettings:
    return RetrySettings(max_seconds=900, base_delay_seconds=1, max_delay_seconds=60, max_crashes=3, max_losses=10)


@pytest.fixture
def claims(database: Database, retry: RetrySettings) -> ClaimService:
    return ClaimService(database, retry, lease_seconds=60, processes=1)


@pytest.fixture
def leases(database: Database, retry: RetrySettings) -> LeaseService:
    return LeaseService(database, retry, lease_seconds=60)
