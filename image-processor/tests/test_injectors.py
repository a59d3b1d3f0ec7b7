"""The housekeeping of tasks, which one of all workers does, and that of webhooks."""

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from image_processor.config import WebhookSettings, WorkerSettings
from image_processor.handler.celery_app import create_celery
from image_processor.injectors import create_worker_registry
from image_processor.models import (
    BatchKey,
    CachedResult,
    CallbackHost,
    EndedTasks,
    Task,
    TaskChore,
    TaskEvent,
    UnendedTasks,
)
from image_processor.services.tasks.ended import MAX_ROWS
from image_processor.services.tasks.unended import MAX_PARTS
from image_processor.webhook_injectors import create_webhook_threads
from service_kit.database import Database
from service_kit.housekeeping import Housekeeping
from service_kit.settings import load
from sqlalchemy import delete, insert
from structlog.testing import capture_logs
from svcs import Container

HOUR = 3600


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, each_database: Database) -> str:
    """Set the variables that the settings need; return the database's URL."""
    url = each_database.engine.url.render_as_string(hide_password=False)
    (tmp_path / "conf.yml").touch()
    for name, value in {
        "WORKER_CONFIG": str(tmp_path / "conf.yml"),
        "WORKER_BROKER__URL": "memory://",
        "WORKER_DATABASE__URL": url,
        "WORKER_SCRATCH_FOLDER": str(tmp_path / "scratch"),
        "WORKER_RELAY__KEEP_TASKS_SECONDS": str(HOUR),
        "WEBHOOKS_CONFIG": str(tmp_path / "conf.yml"),
        "WEBHOOKS_DATABASE__URL": url,
        "PIXMILL_WORKER_INNER_SECRET": "a-secret-of-inner-calls-in-tests-only",
        "PIXMILL_CALLBACK_SECRET": "a-secret-of-webhooks-in-these-tests-only",
    }.items():
        monkeypatch.setenv(name, value)
    with each_database.begin() as connection:
        for table in (TaskChore, BatchKey, CachedResult, CallbackHost, UnendedTasks):
            connection.execute(delete(table))
    return url


def worker(url: str, name: str) -> Housekeeping:
    """Return the housekeeping of a worker."""
    settings, database = load(WorkerSettings), Database(url)
    registry = create_worker_registry(settings, database, create_celery(settings.broker), name)
    return Container(registry).get(Housekeeping)


def test_creating_the_services_of_a_worker_creates_no_folder(environment: str, tmp_path: Path) -> None:
    worker(environment, "first")

    assert not (tmp_path / "scratch").exists()


def test_creating_the_services_of_a_worker_starts_no_thread(environment: str) -> None:
    before = set(threading.enumerate())

    worker(environment, "first")

    assert set(threading.enumerate()) <= before


def done_by(housekeeping: Housekeeping) -> Mapping[object, object]:
    """Return how many things each chore has removed or folded."""
    with capture_logs() as logs:
        housekeeping.run_due()
    assert {entry["event"] for entry in logs} <= {"housekeeping done"}
    return {entry["chore"]: entry["count"] for entry in logs}


def test_one_of_two_workers_removes_what_is_old_and_folds_the_counts(each_database: Database, environment: str) -> None:
    cached = {"key": "old", "result_id": 1, "created_at": 1.0}
    key = {"owner": "ann", "key": "old", "fingerprint": "", "batch_id": 1, "task_ids": [], "created_at": 1.0}
    task = {"source_id": 1, "algorithm": "flip", "status": "finished", "created_at": 1.0, "ended_at": 1.0}
    with each_database.begin() as connection:
        connection.execute(insert(Task).values(**task))
        connection.execute(delete(TaskEvent))
        connection.execute(delete(EndedTasks))
        event = {"transaction_id": 0, "owner": "ann", "task_id": 1, "status": "pending", "created_at": 1.0}
        connection.execute(insert(TaskEvent).values(**event))
        connection.execute(insert(CachedResult).values(**cached))
        connection.execute(insert(BatchKey).values(**key))
        connection.execute(
            insert(UnendedTasks), [{"owner": "ann", "part": -1 - n, "tasks": 1} for n in range(MAX_PARTS + 1)]
        )
        ended = [{"owner": "ann", "status": "error", "day": "", "part": -n, "tasks": 1} for n in range(MAX_ROWS + 1)]
        connection.execute(insert(EndedTasks), ended)
    postgresql = environment.startswith("postgresql")

    done = done_by(worker(environment, "first"))

    removed = {"events": 1, "result cache": 1, "idempotency keys": 1, "old tasks": 1, "counts of ended tasks": 1}
    assert done == removed | ({"counts of unended tasks": 1} if postgresql else {})
    assert done_by(worker(environment, "second")) == {}


def test_old_hosts_of_webhooks_are_forgotten(each_database: Database, environment: str) -> None:
    host = {"host": "old.example", "due_at": 0.0, "changed_at": 1.0}
    with each_database.begin() as connection:
        connection.execute(insert(CallbackHost).values(**host))

    housekeeping, _ = create_webhook_threads(load(WebhookSettings))

    assert done_by(housekeeping) == {"hosts of webhooks": 1}
