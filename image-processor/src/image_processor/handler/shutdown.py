"""SIGTERM to a worker: no new task begins, running ones get their time, what is left is handed back."""

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


class GracefulShutdown:
    """Instead of Celery's own shutdown, which waits for running tasks as long as they take, or not at all.

    Made before the worker's processes are forked, so they see when it begins.

    :param hand_back: puts back all that this worker holds.
    """

    def __init__(self, seconds: float, hand_back: Callable[[], None]) -> None:
        self._seconds = seconds
        self._hand_back = hand_back
        self._draining = RawValue("b", 0)

    def listen(self) -> None:
        """Takes SIGTERM and SIGINT over from Celery; called by the main thread of the main process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._begin())

    def begun(self) -> bool:
        """Whether the worker is to end: nothing new may be begun."""
        return bool(self._draining.value)

    def hold_if_draining(self) -> None:
        """Blocks a process that was given one more hint, until it is killed with the worker.

        A hint dropped instead would make room for the next one, and so on until the queue is empty.
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
        # First handed back, then killed: so it does not count as a crash.
        self._hand_back()
        log.info("worker stops")
        for child in active_children():
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)
        os._exit(os.EX_OK)


def _requests() -> list[Request]:
    """Every message this worker took and has not ended; a copy, as other threads change the original."""
    return list(state.requests.values())
