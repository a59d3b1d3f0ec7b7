"""The worker: ``celery --app image_processor.worker worker``."""

import os
import resource
import signal
import socket
from uuid import uuid4

import structlog
import svcs
from celery import signals
from celery.utils.log import get_multiprocessing_logger
from service_kit import logs
from service_kit.garbage import freeze_existing_objects
from service_kit.settings import load_or_exit
from sqlalchemy.exc import SQLAlchemyError

from image_processor.background.heartbeat import Heartbeat
from image_processor.background.relay import Relay
from image_processor.background.webhook_sender import WebhookSender
from image_processor.config import WorkerSettings
from image_processor.handler.celery_app import WORK, create_celery
from image_processor.handler.consumer import WorkConsumer
from image_processor.handler.crash import crash_reason, crash_reporting_request, overran
from image_processor.handler.shutdown import GracefulShutdown
from image_processor.injectors import create_worker_registry
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Holder
from image_processor.services.jobs.runner import Runner

log = structlog.get_logger()
settings = load_or_exit(WorkerSettings)

WORKER = f"{socket.gethostname()}:{uuid4()}"

app = create_celery(settings.broker)
app.conf.update(worker_concurrency=settings.processes, worker_consumer=WorkConsumer)
services = svcs.Container(create_worker_registry(settings, app, WORKER))


def report_crash(process: int, error: BaseException) -> None:
    """Has what the process held put back."""
    services.get(Heartbeat).process_died(process, crash_reason(error, settings.limits.max_seconds), overran(error))


def hand_back() -> None:
    """Puts back what this worker holds."""
    for thread in services.get(Relay, Heartbeat, WebhookSender):
        thread.stop()
    try:
        services.get(LeaseService).release(WORKER)
    except SQLAlchemyError as error:
        log.warning("tasks not handed back, their leases will run out", error=str(error))


shutdown = GracefulShutdown(settings.shutdown_seconds, hand_back)


@app.task(name=WORK, Request=crash_reporting_request(report_crash))
def work() -> None:
    """A hint: tasks are pending."""
    shutdown.hold_if_draining()
    if not services.get(Runner).drain(Holder(WORKER, os.getpid()), shutdown.begun):
        signal.pause()


@signals.setup_logging.connect
def _set_up_logging(**_: object) -> None:
    """In Celery's stead, which writes no JSON."""
    # It begins to tell of its processes when it is first asked for.
    get_multiprocessing_logger()
    logs.configure(settings.log.level)


@signals.worker_init.connect
def _prepare(**_: object) -> None:
    freeze_existing_objects()


@signals.worker_process_init.connect
def _begin_process(**_: object) -> None:
    # A signal to the process group is meant for the main process, which knows when its processes are to end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Connections do not survive a fork: each process makes its own services.
    global services
    services = svcs.Container(create_worker_registry(settings, app, WORKER))
    memory = settings.limits.max_memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


@signals.worker_ready.connect
def _begin(**_: object) -> None:
    shutdown.listen()
    services.get(Runner).sweep()
    for thread in services.get(Relay, Heartbeat, WebhookSender):
        thread.start()
