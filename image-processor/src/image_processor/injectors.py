"""Creates the services of the API and of workers from their settings, and chooses their implementations."""

from functools import partial
from importlib import import_module
from pathlib import Path

import httpx2
import structlog
import svcs
from celery import Celery
from prometheus_client.registry import Collector
from service_kit.database import Database
from service_kit.events.rows import Events
from service_kit.housekeeping import Chore, Housekeeping, OwnChore
from service_kit.old_rows import STEP

from image_processor.background.clock_watch import ClockWatch
from image_processor.background.heartbeat import Heartbeat
from image_processor.background.relay import Relay
from image_processor.config import ApiSettings, BlobSourceSettings, FileStorageSettings, WorkerSettings
from image_processor.handler.celery_app import create_celery
from image_processor.handler.queue import CeleryTaskQueue
from image_processor.handler.time_limit import time_limit
from image_processor.models import TaskChore, TaskEvent
from image_processor.services.codec.configured_presets import ConfiguredPresets
from image_processor.services.files.blob_folder import BlobFolder
from image_processor.services.files.blob_http import BlobClient
from image_processor.services.files.client import FileStorage
from image_processor.services.files.sources import Sources
from image_processor.services.jobs.attempts import AttemptService
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.discarded_results import DiscardedResults
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.result_cache import ResultCache
from image_processor.services.jobs.result_upload import ResultUpload
from image_processor.services.jobs.reuse import ReuseService
from image_processor.services.jobs.runner import Runner
from image_processor.services.presets.presets import PresetService
from image_processor.services.tasks import ended, idempotency
from image_processor.services.tasks.batches import BatchService
from image_processor.services.tasks.bulk import BulkService
from image_processor.services.tasks.forgetting import STEP as TASKS_AT_ONCE
from image_processor.services.tasks.forgetting import Retention
from image_processor.services.tasks.metrics import TaskMetrics
from image_processor.services.tasks.queue import Hints, TaskQueue
from image_processor.services.tasks.stats import TaskStats
from image_processor.services.tasks.tasks import TaskService
from image_processor.services.tasks.unended import fold

EXPIRY_INTERVAL_SECONDS = 60
"""Interval between deletions of old events, cached results, idempotency keys and tasks."""
FOLD_INTERVAL_SECONDS = 5
"""Interval between folds of the counts of unended tasks: until then, a busy owner has two new rows per task."""
FOLD_ENDED_INTERVAL_SECONDS = 60
"""Interval between folds of the counts of ended tasks, which only pages and metrics read."""


def create_api_registry(settings: ApiSettings) -> svcs.Registry:
    """Return the services of the API, each registered by its type."""
    registry = svcs.Registry()
    database = Database(settings.database.url, settings.database.pool_size)
    queue = CeleryTaskQueue(create_celery(settings.broker))
    storage = FileStorage(_http_client(settings.file_storage))
    registry.register_value(ApiSettings, settings)
    registry.register_value(Database, database, ping=Database.ping)
    registry.register_value(TaskQueue, queue, ping=CeleryTaskQueue.ping)
    registry.register_value(FileStorage, storage, ping=FileStorage.ping)
    registry.register_value(Collector, TaskMetrics(database))
    presets = ConfiguredPresets(settings.presets)
    hints = Hints(queue, settings.hints)
    registry.register_value(PresetService, PresetService(database, presets, storage))
    registry.register_value(TaskStats, TaskStats(database))
    registry.register_value(TaskService, TaskService(database, hints, storage, presets))
    registry.register_value(BulkService, BulkService(database, hints))
    registry.register_value(BatchService, BatchService(database))
    return registry


def create_worker_registry(settings: WorkerSettings, database: Database, celery: Celery, worker: str) -> svcs.Registry:
    """Return the services of a worker's process, each registered by its type; threads are created on first use."""
    claims = ClaimService(database, settings.retry, settings.lease.seconds, settings.processes)
    leases = LeaseService(database, settings.retry, settings.lease.seconds)
    storage = FileStorage(_http_client(settings.file_storage))
    cache = ResultCache(database)
    scratch = Path(settings.scratch_folder)
    limit = partial(time_limit, settings.limits.max_seconds)
    folder, blobs = _blob_folder(settings.file_storage), _blob_client(settings.file_storage)
    sources = Sources(storage, folder, blobs, settings.limits)
    reuse = ReuseService(storage, cache)
    attempts = AttemptService(sources, settings.limits, limit)
    upload = ResultUpload(storage, cache)
    runner = Runner(claims, leases, attempts, reuse, upload, scratch, settings.limits.max_seconds)
    events = Events(database, TaskEvent)

    def relay() -> Relay:
        lease = settings.lease.seconds
        # After a step of the clock, the stored times of leases and retries are wrong.
        clock = ClockWatch(database, lease / 2, [leases.renew_all_leases])
        return Relay(claims, leases, CeleryTaskQueue(celery), settings.relay, scratch / "alive", clock, lease)

    def housekeeping() -> Housekeeping:
        keep_events, keep_results = settings.relay.keep_events_seconds, settings.relay.keep_cache_seconds
        revoke_due = DiscardedResults(database, storage).revoke_due
        retention = Retention(database, settings.relay.keep_tasks_seconds)
        return Housekeeping(
            database,
            TaskChore,
            [
                Chore("events", EXPIRY_INTERVAL_SECONDS, partial(events.forget_older_than, keep_events), STEP),
                Chore("result cache", EXPIRY_INTERVAL_SECONDS, partial(cache.forget_older_than, keep_results), STEP),
                Chore("idempotency keys", EXPIRY_INTERVAL_SECONDS, partial(idempotency.forget_expired, database), STEP),
                Chore("old tasks", EXPIRY_INTERVAL_SECONDS, retention.run, TASKS_AT_ONCE),
                Chore("counts of unended tasks", FOLD_INTERVAL_SECONDS, partial(fold, database)),
                Chore("counts of ended tasks", FOLD_ENDED_INTERVAL_SECONDS, partial(ended.fold, database)),
            ],
            # Each worker takes rows of its own from this queue. One worker at a time would be slower, and its claims at
            # this interval would write more often than results are discarded.
            [OwnChore(settings.relay.interval_seconds, revoke_due)],
        )

    def heartbeat(services: svcs.Container) -> Heartbeat:
        wake_relay = services.get(Relay).wake
        return Heartbeat(leases, worker, settings.lease.heartbeat_seconds, runner.discard, wake_relay)

    registry = svcs.Registry()
    registry.register_value(LeaseService, leases)
    registry.register_value(Runner, runner)
    registry.register_factory(Relay, relay)
    registry.register_factory(Housekeeping, housekeeping)
    registry.register_factory(Heartbeat, heartbeat)
    return registry


def _blob_folder(settings: BlobSourceSettings) -> BlobFolder | None:
    return BlobFolder(Path(settings.blobs_folder)) if settings.blobs_folder else None


def _blob_client(settings: BlobSourceSettings) -> BlobClient | None:
    return BlobClient(settings.blobs_url, settings.timeout_seconds) if settings.blobs_url else None


def _http_client(settings: FileStorageSettings) -> httpx2.Client:
    """Return a client of file-storage; a URL ``wsgi://module/path`` calls ``module.create_app()`` in this process."""
    hooks = {"request": [_pass_request_id]}
    headers = {"Authorization": f"Bearer {settings.inner_secret.get_secret_value()}"}
    if not settings.url.startswith("wsgi://"):
        url = settings.url.rstrip("/")
        return httpx2.Client(
            base_url=url,
            headers=headers,
            timeout=settings.timeout_seconds,
            trust_env=False,
            event_hooks=hooks,
            follow_redirects=True,
        )
    module, _, path = settings.url.removeprefix("wsgi://").partition("/")
    transport = httpx2.WSGITransport(app=import_module(module).create_app(), script_name=f"/{path}")
    return httpx2.Client(base_url="http://in-process", headers=headers, transport=transport, event_hooks=hooks)


def _pass_request_id(request: httpx2.Request) -> None:
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if request_id:
        request.headers["X-Request-ID"] = request_id
