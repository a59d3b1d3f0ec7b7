"""The code of a worker's process, which Celery forks from the main process."""

import os
import signal
from collections.abc import Callable

from image_processor.handler.shutdown import GracefulShutdown
from image_processor.services.jobs.outcomes import Holder
from image_processor.services.jobs.runner import Runner


class WorkerProcess:
    """Runs tasks in a process, with services of its own: connections do not survive a fork.

    :param worker: the worker's name.
    :param create_runner: creates the services; called in the process.
    :param shutdown: the shutdown of the worker.
    """

    _runner: Runner

    def __init__(self, worker: str, create_runner: Callable[[], Runner], shutdown: GracefulShutdown) -> None:
        self._worker = worker
        self._create_runner = create_runner
        self._shutdown = shutdown

    def begin(self) -> None:
        """Create the services, after the fork and before the first hint."""
        self._shutdown.only_follow()
        self._runner = self._create_runner()

    def work(self) -> None:
        """Run tasks until none is pending."""
        self._shutdown.hold_if_draining()
        if not self._runner.drain(Holder(self._worker, os.getpid()), self._shutdown.begun):
            signal.pause()
