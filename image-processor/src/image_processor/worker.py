"""The worker: ``celery --app image_processor.worker worker``."""

import os
import resource
import socket
from uuid import uuid4

import structlog
import svcs
from celery import signals
from service_kit import logs
from service_kit.settings import load_or_exit
from sqlalchemy.exc import SQLAlchemyError

from image_processor.config import WorkerSettings
from image_processor.handler.celery_app import PROCESS, create_celery
from image_processor.handler.crash import crash_reporting_request
from image_processor.handler.relay import Relay
from image_processor.injectors import create_worker_registry
from image_processor.services.claims import ClaimService
from image_processor.services.processing import ProcessingService

log = structlog.get_logger()
settings = load_or_exit(WorkerSettings)
logs.configure(settings.log.level)

WORKER = f"{socket.gethostname()}:{uuid4()}"

app = create_celery(settings.broker)
app.conf.update(
    worker_concurrency=settings.concurrency or os.cpu_count(),
    task_time_limit=settings.limits.max_seconds,
    worker_soft_shutdown_timeout=settings.shutdown_seconds,
)
services = svcs.Container(create_worker_registry(settings, app))


def report_crash(task_id: int, reason: str) -> None:
    """Records that the process which held ``task_id`` is gone."""
    try:
        services.get(ClaimService).crashed(WORKER, task_id, reason)
    except SQLAlchemyError as error:
        log.warning("crash not recorded, the lease will run out", task_id=task_id, error=str(error))


@app.task(name=PROCESS, Request=crash_reporting_request(report_crash))
def process(task_id: int) -> None:
    """A message: the task ``task_id`` is to be done."""
    services.get(ProcessingService).run(task_id, WORKER)


@signals.worker_process_init.connect
def _begin_process(**_: object) -> None:
    # Connections do not survive a fork: each process makes its own services.
    global services
    services = svcs.Container(create_worker_registry(settings, app))
    memory = settings.limits.max_memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


@signals.worker_ready.connect
def _begin_relay(**_: object) -> None:
    services.get(Relay).start()


@signals.worker_shutdown.connect
def _hand_back(**_: object) -> None:
    services.get(Relay).stop()
    try:
        services.get(ClaimService).release(WORKER)
    except SQLAlchemyError as error:
        log.warning("tasks not handed back, their leases will run out", error=str(error))
