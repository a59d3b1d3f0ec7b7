"""Shut a worker down: start no new task, wait for running ones, hand the rest back."""

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.sharedctypes import RawValue

import structlog
from billiard.process import active_children
from celery.worker import state
from celery.worker.request import Request

log = structlog.get_logger()

POLL_SECONDS = 0.05
"""Between two checks whether the running tasks have ended."""


class GracefulShutdown:
    """Replaces Celery's shutdown, which waits for running tasks without a limit, or not at all.

    Created before the worker's processes are forked: they share its state.

    :param seconds: to wait for running tasks.
    :param hand_back: makes all tasks pending again that this worker holds.
    """

    def __init__(self, seconds: float, hand_back: Callable[[], None]) -> None:
        self._seconds = seconds
        self._hand_back = hand_back
        self._draining = RawValue("b", 0)

    def listen(self) -> None:
        """Handle SIGTERM and SIGINT instead of Celery; call it in the main thread of the main process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._begin())

    def begun(self) -> bool:
        """Return whether the worker is shutting down: no new task may start."""
        return bool(self._draining.value)

    def hold_if_draining(self) -> None:
        """During a shutdown, block a process that has taken a hint until it is killed.

        If it returned instead, Celery would give it the next hint, and so on until the queue is empty.
        """
        while self._draining.value:
            signal.pause()

    def _begin(self) -> None:
        if self._draining.value:
            return
        self._draining.value = 1
        running = [request for request in _requests() if request in state.active_requests]
        threading.Thread(target=self._end, args=(running,), name="shutdown", daemon=True).start()

    def _end(self, running: list[Request]) -> None:
        deadline = time.monotonic() + self._seconds
        while any(request in state.active_requests for request in running) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        # Tasks are handed back before their processes are killed, so that they count no crash.
        self._hand_back()
        log.info("worker stops")
        for child in active_children():
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)
        os._exit(os.EX_OK)


def _requests() -> list[Request]:
    """Return every message that this worker is handling; a copy, because other threads change the original."""
    return list(state.requests.values())
