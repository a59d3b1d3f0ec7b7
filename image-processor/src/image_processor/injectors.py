"""The one place where image-processor's implementations are chosen from its settings."""

from functools import partial
from importlib import import_module
from pathlib import Path

import httpx
import structlog
import svcs
from celery import Celery
from service_kit.database import Database

from image_processor.config import ApiSettings, FileStorageSettings, WorkerSettings
from image_processor.handler.celery_app import create_celery
from image_processor.handler.queue import CeleryTaskQueue
from image_processor.handler.relay import Relay
from image_processor.services.claims import ClaimService
from image_processor.services.file_storage import FileStorage
from image_processor.services.processing import ProcessingService
from image_processor.services.queue import TaskQueue
from image_processor.services.tasks import TaskService


def create_api_registry(settings: ApiSettings) -> svcs.Registry:
    """Everything a request may ask for, by its type."""
    registry = svcs.Registry()
    database = Database(settings.database.url, settings.database.pool_size)
    queue = CeleryTaskQueue(create_celery(settings.broker))
    storage = FileStorage(_http_client(settings.file_storage))
    registry.register_value(Database, database, ping=Database.ping)
    registry.register_value(TaskQueue, queue, ping=CeleryTaskQueue.ping)
    registry.register_value(FileStorage, storage, ping=FileStorage.ping)
    registry.register_value(TaskService, TaskService(database, queue, storage, settings.relay.overdue_seconds))
    return registry


def create_worker_registry(settings: WorkerSettings, celery: Celery) -> svcs.Registry:
    """Everything a worker's process may ask for, by its type; made when first asked for."""
    registry = svcs.Registry()
    database = Database(settings.database.url, settings.database.pool_size)
    claims = ClaimService(database, settings.retry)
    scratch = Path(settings.scratch_folder)
    scratch.mkdir(parents=True, exist_ok=True)
    registry.register_value(ClaimService, claims)
    registry.register_factory(Relay, partial(Relay, claims, CeleryTaskQueue(celery), settings.relay, scratch / "alive"))
    registry.register_factory(
        ProcessingService,
        lambda: ProcessingService(
            claims,
            FileStorage(_http_client(settings.file_storage)),
            settings.limits,
            scratch,
        ),
    )
    return registry


def _http_client(settings: FileStorageSettings) -> httpx.Client:
    """A client of file-storage; ``wsgi://module/path`` calls ``module.create_app()`` within this process."""
    hooks = {"request": [_pass_request_id]}
    if not settings.url.startswith("wsgi://"):
        url = settings.url.rstrip("/")
        return httpx.Client(base_url=url, timeout=settings.timeout_seconds, trust_env=False, event_hooks=hooks)
    module, _, path = settings.url.removeprefix("wsgi://").partition("/")
    transport = httpx.WSGITransport(app=import_module(module).create_app(), script_name=f"/{path}")
    return httpx.Client(base_url="http://in-process", transport=transport, event_hooks=hooks)


def _pass_request_id(request: httpx.Request) -> None:
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if request_id:
        request.headers["X-Request-ID"] = request_id
