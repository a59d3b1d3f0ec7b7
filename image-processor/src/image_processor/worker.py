"""The Celery worker: ``celery --app image_processor.worker worker``."""

import logging
import os
import signal
import socket
import tempfile
from pathlib import Path
from uuid import uuid4

import structlog
import svcs
from celery import signals
from celery.utils.log import get_multiprocessing_logger
from service_kit import logs
from service_kit.database import Database
from service_kit.forking import fork_safe_database
from service_kit.garbage import freeze_existing_objects
from service_kit.housekeeping import Housekeeping
from service_kit.settings import SettingsError, exit_with, load_or_exit, warn_of_short_passwords
from sqlalchemy.exc import SQLAlchemyError

from image_processor.background.heartbeat import Heartbeat
from image_processor.background.relay import Relay
from image_processor.config import WorkerSettings
from image_processor.confinement.process_limits import limit_process
from image_processor.confinement.sandbox import describe
from image_processor.handler.celery_app import WORK, allow_root, create_celery
from image_processor.handler.confinement import confine_worker
from image_processor.handler.consumer import WorkConsumer
from image_processor.handler.crash import crash_reason, crash_reporting_request, overran
from image_processor.handler.shutdown import GracefulShutdown
from image_processor.handler.work_pool import WorkPool
from image_processor.handler.worker_process import WorkerProcess
from image_processor.injectors import create_worker_registry
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.runner import Runner

log = structlog.get_logger()
settings = load_or_exit(WorkerSettings)

WORKER = f"{socket.gethostname()}:{uuid4()}"

# Not in a handler of a signal: Celery logs its errors, and the worker would start without the folder.
try:
    Path(settings.scratch_folder).mkdir(parents=True, exist_ok=True)
except OSError as error:
    exit_with(SettingsError(f"scratch_folder {settings.scratch_folder} cannot be created: {error}"))

app = create_celery(settings.broker)
app.conf.update(worker_concurrency=settings.processes, worker_consumer=WorkConsumer, worker_pool=WorkPool)
database = fork_safe_database(settings.database.url, settings.database.pool_size)
services = svcs.Container(create_worker_registry(settings, database, app, WORKER))
"""The services of the main process; each other process has its own."""


def create_runner() -> Runner:
    """Return the runner of a process that has been forked, with its own connections."""
    database = Database(settings.database.url, settings.database.pool_size)
    return svcs.Container(create_worker_registry(settings, database, app, WORKER)).get(Runner)


def threads() -> tuple[Relay, Housekeeping, Heartbeat]:
    """Return the threads of the main process."""
    return services.get(Relay, Housekeeping, Heartbeat)


def report_crash(process: int, error: BaseException) -> None:
    """Make the tasks that the process held pending again."""
    services.get(Heartbeat).process_died(process, crash_reason(error, settings.limits.max_seconds), overran(error))


def hand_back() -> None:
    """Make the tasks that this worker holds pending again."""
    for thread in threads():
        thread.stop()
    try:
        services.get(LeaseService).release(WORKER)
    except SQLAlchemyError as error:
        log.warning("tasks not handed back; their leases will expire", error=str(error))


shutdown = GracefulShutdown(settings.shutdown_seconds, hand_back)
process = WorkerProcess(WORKER, create_runner, shutdown)


@app.task(name=WORK, Request=crash_reporting_request(report_crash))
def work() -> None:
    """Run tasks until none is pending; the message is only a hint that there are some."""
    process.work()


@signals.setup_logging.connect
def _set_up_logging(**_: object) -> None:
    """Replace Celery's logging, which does not write JSON."""
    # The first call disables propagation of billiard's logger; configure() enables it again.
    get_multiprocessing_logger()
    logs.configure(settings.log.level)


@signals.celeryd_init.connect
def _begin_start(**_: object) -> None:
    allow_root()


@signals.worker_init.connect
def _prepare(**_: object) -> None:
    freeze_existing_objects()


@signals.worker_process_init.connect
def _begin_process(**_: object) -> None:
    # Ignore signals to the process group: the main process ends its child processes itself.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    process.begin()
    # Temporary files of libvips, SQLite and Python: /tmp may be in memory and is outside the sandbox.
    os.environ["TMPDIR"] = settings.scratch_folder
    tempfile.tempdir = None
    # Cache for the list of the machine's fonts, which takes seconds to build; the sandbox allows writing it only here.
    os.environ["XDG_CACHE_HOME"] = str(Path(settings.scratch_folder, "cache"))
    limit_process(settings.limits)
    try:
        confine_worker(settings)
    except OSError as error:
        log.error("sandbox not in force", error=str(error))


@signals.worker_ready.connect
def _begin(**_: object) -> None:
    warn_of_short_passwords(settings)
    in_force, how = describe(settings.sandbox)
    log.log(logging.INFO if in_force else logging.WARNING, "sandbox", in_force=in_force, how=how)
    shutdown.listen()
    services.get(Runner).delete_abandoned()
    for thread in threads():
        thread.start()
