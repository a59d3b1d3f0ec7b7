"""Algorithms that crash, hang, or take too much memory; found through entry points, like those of any plugin."""

import os
import signal
import threading
import time

import pyvips
from image_processor.algorithms.registry import Params, algorithm
from pydantic import Field


class NoParams(Params):
    """No parameters."""


class PauseParams(Params):
    seconds: float = Field(ge=0, le=600)


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
