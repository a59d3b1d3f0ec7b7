"""A worker's process runs tasks with services that it creates itself."""

from pathlib import Path

import pytest
from image_processor.config import WorkerSettings
from image_processor.handler.celery_app import create_celery
from image_processor.handler.shutdown import GracefulShutdown
from image_processor.handler.worker_process import WorkerProcess
from image_processor.injectors import create_worker_registry
from image_processor.models import Task
from image_processor.services.jobs.runner import Runner
from service_kit.database import Database
from service_kit.settings import load
from sqlalchemy import insert, select
from svcs import Container


class Runners:
    """Creates runners, and keeps the database of each."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.databases: list[Database] = []

    def create(self) -> Runner:
        database = Database(self._settings.database.url)
        self.databases.append(database)
        registry = create_worker_registry(self._settings, database, create_celery(self._settings.broker), "worker")
        return Container(registry).get(Runner)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: Database) -> WorkerSettings:
    (tmp_path / "conf.yml").touch()
    (tmp_path / "scratch").mkdir()
    for name, value in {
        "WORKER_CONFIG": str(tmp_path / "conf.yml"),
        "WORKER_BROKER__URL": "memory://",
        "WORKER_DATABASE__URL": str(database.engine.url),
        "WORKER_FILE_STORAGE__URL": "http://127.0.0.1:9",
        "WORKER_SCRATCH_FOLDER": str(tmp_path / "scratch"),
        "PIXMILL_WORKER_INNER_SECRET": "a-secret-of-inner-calls-in-tests-only",
    }.items():
        monkeypatch.setenv(name, value)
    return load(WorkerSettings)


def test_a_process_works_with_services_that_it_has_created_at_its_beginning(
    settings: WorkerSettings, database: Database
) -> None:
    runners = Runners(settings)
    process = WorkerProcess("worker", runners.create, GracefulShutdown(1, lambda: None))
    assert runners.databases == [], "the main process creates none: connections do not survive a fork"
    with database.begin() as connection:
        connection.execute(insert(Task).values(source_id=1, algorithm="flip"))

    process.begin()
    process.work()

    with database.connect() as connection:
        assert connection.scalars(select(Task.attempt)).all() == [1]
    assert len(runners.databases) == 1


def test_a_process_looks_for_tasks_at_each_hint(settings: WorkerSettings, database: Database) -> None:
    runners = Runners(settings)
    process = WorkerProcess("worker", runners.create, GracefulShutdown(1, lambda: None))
    process.begin()
    process.work()
    with database.begin() as connection:
        connection.execute(insert(Task).values(source_id=1, algorithm="flip"))

    process.work()

    with database.connect() as connection:
        assert connection.scalars(select(Task.attempt)).all() == [1]
    assert len(runners.databases) == 1, "all hints share the services"


def test_a_process_only_follows_a_shutdown(settings: WorkerSettings) -> None:
    shutdown = GracefulShutdown(1, lambda: None)

    WorkerProcess("worker", Runners(settings).create, shutdown).begin()

    assert shutdown._mark.closed
    assert not shutdown.begun()
