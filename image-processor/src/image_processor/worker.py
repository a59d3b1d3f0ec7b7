"""The worker: ``celery --app image_processor.worker worker``."""

import os
import resource
import signal
import socket
from collections.abc import Collection
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
from image_processor.handler.shutdown import GracefulShutdown
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
)
services = svcs.Container(create_worker_registry(settings, app))


def report_crash(task_id: int, reason: str) -> None:
    """Records that the process which held ``task_id`` is gone, and removes what it left."""
    services.get(ProcessingService).discard(task_id, WORKER)
    try:
        services.get(ClaimService).crashed(WORKER, task_id, reason)
    except SQLAlchemyError as error:
        log.warning("crash not recorded, the lease will run out", task_id=task_id, error=str(error))


def hand_back(taken: Collection[int]) -> None:
    """Puts back what this worker holds, and the tasks whose messages it took and will not begin."""
    services.get(Relay).stop()
    try:
        services.get(ClaimService).release(WORKER)
        services.get(ClaimService).call_overdue(taken)
    except SQLAlchemyError as error:
        log.warning("tasks not handed back, their leases will run out", error=str(error))


shutdown = GracefulShutdown(settings.shutdown_seconds, hand_back)


@app.task(name=PROCESS, Request=crash_reporting_request(report_crash))
def process(task_id: int) -> None:
    """A message: the task ``task_id`` is to be done."""
    shutdown.hold_if_draining()
    services.get(ProcessingService).run(task_id, WORKER)


@signals.worker_process_init.connect
def _begin_process(**_: object) -> None:
    # A signal to the process group is meant for the main process, which knows when its processes are to end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Connections do not survive a fork: each process makes its own services.
    global services
    services = svcs.Container(create_worker_registry(settings, app))
    memory = settings.limits.max_memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


@signals.worker_ready.connect
def _begin(**_: object) -> None:
    shutdown.listen()
    services.get(ProcessingService).sweep()
    services.get(Relay).start()
