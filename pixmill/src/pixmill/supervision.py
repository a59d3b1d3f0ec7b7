"""Runs a child process, and ends it and all its descendants when this process is stopped or dies."""

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
    """When to kill the child (``time.monotonic()``); set once a stop was requested."""

    @property
    def stop_requested(self) -> bool:
        return self.kill_at is not None


@contextmanager
def supervised(
    command: Sequence[str], folder: Path, env: Mapping[str, str], stop_seconds: float, output: int | None = None
) -> Iterator[Child]:
    """Run ``command``; after SIGINT or SIGTERM send it SIGTERM every second until it ends.

    ``stop_seconds`` after such a signal, and at the end of the context, its remaining descendants are killed. That
    includes daemons in sessions of their own: Linux makes this process the parent of orphans (PR_SET_CHILD_SUBREAPER).

    :param output: the file descriptor for its output; by default that of this process.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # A signal that arrives before the handlers are installed waits for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    earlier = {number: signal.getsignal(number) for number in (*_STOP_SIGNALS, signal.SIGALRM)}
    try:
        # No shell is used, and only our own code chooses the command.
        process = subprocess.Popen(  # nosec B603
            command,
            cwd=folder,
            env=env,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        child = Child(process)

        def stop(_number: int, _frame: object) -> None:
            if child.kill_at is None:
                child.kill_at = time.monotonic() + stop_seconds
                # Repeat the signal: uWSGI ignores it while it loads.
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
        # Repeat until no process is left: a process may have started another in the meantime.
        while killed := _kill_descendants():
            psutil.wait_procs(killed)
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in earlier.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _end_with_parent() -> None:
    """Prepare the child: unblock the inherited blocked signals, and request SIGTERM when its parent dies."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _prctl(option: int, value: int) -> None:
    # Only Linux has prctl; on other systems orphaned daemons are not found.
    if sys.platform == "linux" and _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _kill_descendants() -> list[psutil.Process]:
    descendants = psutil.Process().children(recursive=True)
    for descendant in descendants:
        with suppress(psutil.NoSuchProcess):
            descendant.kill()
    return descendants
