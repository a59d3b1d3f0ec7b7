"""Manages a worker's scratch folder for sources and results of running tasks."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

MIN_FREE_BYTES = 32 * 1024 * 1024
"""With less free space, any error counts as a full disk, because libvips does not always report why it cannot write."""


class ScratchFullError(Exception):
    """A worker's disk is full; a retry may help."""


@contextmanager
def detecting_full_disk(scratch: Path) -> Iterator[None]:
    """Replace an error raised in the block if the disk of ``scratch`` is full.

    :raises ScratchFullError: the block failed with less than :data:`MIN_FREE_BYTES` free.
    """
    try:
        yield
    except Exception as error:
        disk = os.statvfs(scratch)
        if disk.f_bavail * disk.f_frsize < MIN_FREE_BYTES:
            raise ScratchFullError from error
        raise


class AttemptInProgress(NamedTuple):
    """An attempt that a process has started and not ended."""

    task_id: int
    attempt: int


_PREFIX = "in-progress-"
_MARK = re.compile(_PREFIX + r"([0-9]{1,18})-([0-9]{1,9})")


@contextmanager
def in_progress(folder: Path, task_id: int, attempt: int) -> Iterator[None]:
    """Mark the attempt in the folder while the block runs; the mark remains if the process is killed."""
    mark = folder / f"{_PREFIX}{task_id}-{attempt}"
    mark.touch()
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def find_attempt_in_progress(folder: Path) -> AttemptInProgress | None:
    """Return the attempt whose mark a killed process left in the folder."""
    for mark in folder.glob(f"{_PREFIX}*"):
        # A picture that has taken the process over may have made a file of any name.
        if found := _MARK.fullmatch(mark.name):
            return AttemptInProgress(int(found[1]), int(found[2]))
    return None
