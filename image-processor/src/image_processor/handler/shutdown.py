"""Shuts a worker down: starts no new task, waits for running ones, and hands the rest back."""

import mmap
import os
import signal
import threading
import time
from collections.abc import Callable

import structlog
from billiard.process import active_children
from celery.worker import state
from celery.worker.request import Request

log = structlog.get_logger()

POLL_SECONDS = 0.05
"""Interval between checks whether the running tasks have ended."""


class GracefulShutdown:
    """Replaces Celery's shutdown, which waits for running tasks either without a limit or not at all.

    Create it before the worker's processes are forked, because they share its state.

    :param seconds: maximum time to wait for running tasks.
    :param hand_back: makes all tasks that this worker holds pending again.
    """

    def __init__(self, seconds: float, hand_back: Callable[[], None]) -> None:
        self._seconds = seconds
        self._hand_back = hand_back
        self._mark, self._mark_as_read = _shared_byte()

    def listen(self) -> None:
        """Handle SIGTERM and SIGINT instead of Celery; call this in the main thread of the main process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._begin())

    def begun(self) -> bool:
        """Return whether the worker is shutting down, so that no new task may start."""
        return self._mark_as_read[0] != 0

    def only_follow(self) -> None:
        """Let this process see a shutdown but not begin one; a picture may take it over."""
        self._mark.close()

    def hold_if_draining(self) -> None:
        """During a shutdown, block a process that has received a hint until it is killed.

        If it returned, Celery would deliver hint after hint until the queue is empty.
        """
        while self.begun():
            signal.pause()

    def _begin(self) -> None:
        if self.begun():
            return
        self._mark[0] = 1
        running = [request for request in _requests() if request in state.active_requests]
        threading.Thread(target=self._end, args=(running,), name="shutdown", daemon=True).start()

    def _end(self, running: list[Request]) -> None:
        deadline = time.monotonic() + self._seconds
        while any(request in state.active_requests for request in running) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        # Hand tasks back before killing their processes, so that they count no crash.
        self._hand_back()
        log.info("worker stops")
        for child in active_children():
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)
        os._exit(os.EX_OK)


def _shared_byte() -> tuple[mmap.mmap, mmap.mmap]:
    """Return two views of a byte that forked processes share: for writing, and one that cannot be made writable."""
    file = os.memfd_create("pixmill-shutdown")
    os.ftruncate(file, 1)
    # The kernel lets nobody write through memory of a file that was opened for reading only.
    only_for_reading = os.open(f"/proc/self/fd/{file}", os.O_RDONLY)
    try:
        return mmap.mmap(file, 1), mmap.mmap(only_for_reading, 1, prot=mmap.PROT_READ)
    finally:
        os.close(file)
        os.close(only_for_reading)


def _requests() -> list[Request]:
    """Return a copy of the messages that this worker is handling, because other threads change the original."""
    return list(state.requests.values())
