"""A child process that ends, with everything it started, when this process is told to and when it dies."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# prctl(2)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Child:
    process: "subprocess.Popen[bytes]"
    kill_at: float | None = None
    """On the monotonic clock, once it was told to stop."""

    @property
    def told_to_stop(self) -> bool:
        return self.kill_at is not None


@contextmanager
def supervised(command: Sequence[str], folder: Path, env: Mapping[str, str], stop_seconds: float) -> Iterator[Child]:
    """Runs ``command`` and passes SIGINT and SIGTERM on to it, both as SIGTERM, again every second until it ends.

    What is left of it ``stop_seconds`` after such a signal, or when the context ends, is killed; daemons that it
    started in sessions of their own too: from here on this process is the one that Linux gives orphans to.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # One that comes between the start and the handlers waits for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    earlier = {number: signal.getsignal(number) for number in (*_STOP_SIGNALS, signal.SIGALRM)}
    try:
        child = Child(
            subprocess.Popen(command, cwd=folder, env=env, start_new_session=True, preexec_fn=_end_with_parent)
        )

        def stop(_number: int, _frame: object) -> None:
            if child.kill_at is None:
                child.kill_at = time.monotonic() + stop_seconds
                # Again: uWSGI does not heed it while it loads.
                signal.setitimer(signal.ITIMER_REAL, 1, 1)
            if time.monotonic() < child.kill_at:
                child.process.send_signal(signal.SIGTERM)
            else:
                _kill_descendants()

        for number in earlier:
            signal.signal(number, stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
        yield child
    finally:
        # Again, until there are none: one may have started another meanwhile.
        while killed := _kill_descendants():
            psutil.wait_procs(killed)
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in earlier.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _end_with_parent() -> None:
    """In the child: it inherits which signals are blocked, and is told when its parent is gone."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _prctl(option: int, value: int) -> None:
    # Linux's: elsewhere a daemon whose parents are gone is not found.
    if sys.platform == "linux" and _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _kill_descendants() -> list[psutil.Process]:
    descendants = psutil.Process().children(recursive=True)
    for descendant in descendants:
        with suppress(psutil.NoSuchProcess):
            descendant.kill()
    return descendants
