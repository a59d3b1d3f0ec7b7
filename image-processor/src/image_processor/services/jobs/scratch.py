"""The folder where a worker keeps sources and results while tasks run: when its disk is full, and what is in work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

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


class InWork(NamedTuple):
    """The attempt that a process was processing."""

    task_id: int
    attempt: int


_IN_WORK = "in-work-"


@contextmanager
def in_work(folder: Path, task_id: int, attempt: int) -> Iterator[None]:
    """Leave a sign in the folder for as long as the block runs, for whoever finds it when the process was killed."""
    sign = folder / f"{_IN_WORK}{task_id}-{attempt}"
    sign.touch()
    try:
        yield
    finally:
        sign.unlink(missing_ok=True)


def found_in_work(folder: Path) -> InWork | None:
    """Return which attempt a process that was killed left a sign of."""
    for sign in folder.glob(f"{_IN_WORK}*"):
        task_id, attempt = sign.name.removeprefix(_IN_WORK).split("-")
        return InWork(int(task_id), int(attempt))
    return None
