"""Algorithms that crash, hang, take too much memory or attack the worker; found through entry points, as any plugin."""

import os
import pickle
import signal
import threading
import time
from pathlib import Path

import pyvips
from billiard import current_process
from image_processor.algorithms.registry import Params, algorithm
from pydantic import Field


class NoParams(Params):
    """No parameters."""


class PauseParams(Params):
    seconds: float = Field(ge=0, le=600)


class BreakOutParams(Params):
    path: str = Field("/dev/null/created", description="A file outside the sandbox.")


class _Creation:
    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path(self._path),)


@algorithm
def crash(image: pyvips.Image, params: NoParams) -> pyvips.Image:
    """Crash with a segmentation fault."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return image


@algorithm
def hang(image: pyvips.Image, params: NoParams) -> pyvips.Image:
    """Never return, and ignore signals that can be blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
    while True:
        time.sleep(3600)


@algorithm
def hoard(image: pyvips.Image, params: NoParams) -> pyvips.Image:
    """Allocate more and more memory."""
    held = []
    while True:
        held.append(bytearray(64 * 1024 * 1024))


@algorithm
def pause(image: pyvips.Image, params: PauseParams) -> pyvips.Image:
    """Wait, and return the image unchanged."""
    # libfaketime, used by the tests of clocks, breaks time.sleep.
    threading.Event().wait(params.seconds)
    return image


@algorithm
def break_out(image: pyvips.Image, params: BreakOutParams) -> pyvips.Image:
    """Send the worker's main process a pickle that creates a file, as a hostile picture would."""
    pipe = current_process().outq  # type: ignore[attr-defined]  # what billiard adds
    pipe._writer.send_bytes(pickle.dumps(_Creation(params.path)))
    time.sleep(600)
    return image
