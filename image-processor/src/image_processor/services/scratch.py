"""The folder where a worker keeps sources and results while tasks run, when its disk is full."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIN_FREE_BYTES = 32 * 1024 * 1024
"""With less room, what fails is taken to have failed for it: libvips does not always tell why it cannot write."""


class ScratchFullError(Exception):
    """A worker's disk had no room for a task, which may find some later."""


@contextmanager
def blaming_a_full_disk(scratch: Path) -> Iterator[None]:
    """:raises ScratchFullError: the block failed while ``scratch`` had little room."""
    try:
        yield
    except Exception as error:
        system = os.statvfs(scratch)
        if system.f_bavail * system.f_frsize < MIN_FREE_BYTES:
            raise ScratchFullError from error
        raise
