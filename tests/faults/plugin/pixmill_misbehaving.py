"""Algorithms that do what decoders do at their worst; found through the entry points, as anybody's are."""

import os
import signal
import threading
import time

import pyvips
from image_processor.algorithms.registry import Params, algorithm
from pydantic import Field


class NoParams(Params):
    """Nothing to choose."""


class PauseParams(Params):
    seconds: float = Field(ge=0, le=600)


@algorithm
def crash(image: pyvips.Image, params: NoParams) -> pyvips.Image:
    """Die as by a segmentation fault."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return image


@algorithm
def hang(image: pyvips.Image, params: NoParams) -> pyvips.Image:
    """Never come back, deaf to polite signals."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
    while True:
        time.sleep(3600)


@algorithm
def hoard(image: pyvips.Image, params: NoParams) -> pyvips.Image:
    """Take more and more memory."""
    held = []
    while True:
        held.append(bytearray(64 * 1024 * 1024))


@algorithm
def pause(image: pyvips.Image, params: PauseParams) -> pyvips.Image:
    """Take some time and change nothing."""
    # libfaketime, under which clocks are tested, breaks time.sleep.
    threading.Event().wait(params.seconds)
    return image
