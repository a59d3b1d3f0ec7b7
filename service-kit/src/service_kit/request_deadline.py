"""Gives up requests that take too long.

uWSGI 2.0 has one deadline per process: any request that ends in the process removes it, and a step of the clock
triggers it. So a thread of the process watches each request.
"""

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()

SECONDS = "PIXMILL_REQUEST_SECONDS"
"""The routes of ``config/*/wsgi.ini`` set this variable in the environment of the requests that have a deadline."""


@dataclass(frozen=True)
class _Watched:
    method: str
    path: str
    ends: float


class RequestDeadline:
    """WSGI middleware that gives up a request after the seconds in its environment.

    It counts the time until the application returns, not the time to send the body.

    :param give_up: called once in a thread of its own, with the seconds of the request that is given up.
    :param show_life: called repeatedly while that thread runs, with the maximum number of seconds until the next call.
    """

    def __init__(
        self, application: "WSGIApplication", give_up: Callable[[int], None], show_life: Callable[[int], None]
    ) -> None:
        self._application = application
        self._give_up = give_up
        self._show_life = show_life
        self._watched: dict[int, _Watched] = {}
        self._watcher: threading.Thread | None = None
        self._starting = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if SECONDS not in environ:
            return self._application(environ, start_response)
        seconds = int(environ[SECONDS])
        thread = threading.get_ident()
        self._watched[thread] = _Watched(
            environ["REQUEST_METHOD"],
            environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
            time.monotonic() + seconds,
        )
        try:
            self._start_watcher(seconds)
            return self._application(environ, start_response)
        finally:
            del self._watched[thread]

    def _start_watcher(self, seconds: int) -> None:
        if self._watcher is None:
            with self._starting:
                if self._watcher is None:
                    self._show_life(2 * seconds)
                    self._watcher = threading.Thread(target=self._watch, args=[seconds], name="deadlines", daemon=True)
                    self._watcher.start()

    def _watch(self, seconds: int) -> None:
        pause = threading.Event()
        while True:
            now = time.monotonic()
            # A copy: other threads change the dictionary.
            first = min(self._watched.copy().items(), key=lambda entry: entry[1].ends, default=None)
            if first is not None and first[1].ends <= now:
                thread, request = first
                log.error(
                    "request given up",
                    method=request.method,
                    path=request.path,
                    seconds=seconds,
                    waits_in=_calls_of(thread),
                )
                self._give_up(seconds)
                return
            # All requests of a process have the same number of seconds, so none reaches its deadline before the oldest.
            # time.sleep can fail while the clock is set, and without this thread the process would end.
            pause.wait(seconds if first is None else first[1].ends - now)
            self._show_life(2 * seconds)


def _calls_of(thread: int) -> list[str]:
    """Return where a thread is, as ``function (file:line)``, the innermost call last; no values."""
    frame = sys._current_frames().get(thread)
    return [f"{call.name} ({call.filename}:{call.lineno})" for call in traceback.extract_stack(frame)] if frame else []


def end_process(seconds: int) -> None:
    """End this uWSGI process: it accepts no more requests and gets these seconds to finish the others.

    The client of an unfinished request gets 503, which uWSGI's front and nginx send instead of 502. A new process
    starts.
    """
    os.kill(os.getpid(), signal.SIGHUP)
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def end_unless_alive(seconds: int) -> None:
    """End this process after these seconds, unless this function is called again before.

    A loop in C can hold the interpreter's lock forever, so that no thread of Python runs. The timer is the kernel's and
    ignores steps of the clock. Its signal writes where each thread is, and ends the process.
    """
    faulthandler.register(signal.SIGALRM, chain=True)
    signal.setitimer(signal.ITIMER_REAL, seconds)
