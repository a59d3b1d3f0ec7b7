"""Fixtures: the database of tasks, and the services over it."""

import shutil
from pathlib import Path

import pytest
from image_processor.config import BrokerSettings, RetrySettings
from image_processor.handler.celery_app import create_celery
from image_processor.handler.queue import CeleryTaskQueue
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.tasks.queue import Hints
from service_kit.database import Database
from service_kit.migrations import migrate


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database; tests copy it, because a migration takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "tasks.db"
    migrate(f"sqlite:///{path}", "image_processor")
    return path


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Database:
    return Database(f"sqlite:///{shutil.copy(migrated, tmp_path / 'tasks.db')}")


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
