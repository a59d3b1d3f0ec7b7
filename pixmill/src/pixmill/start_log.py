"""Keep uWSGI's report of its start off the terminal, where the address of the server would be lost in it."""

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_EVENT = b"{"
"""The first byte of our log lines, which are JSON."""
_LATE = (b"WSGI app ", b"mounting ")
"""How lines begin with which a process of uWSGI reports its own start, also after another one is ready."""


class StartLog:
    """What the server's processes write: events go to the terminal, and text goes to a file until the server is ready.

    :param output: where the processes write; a pipe.
    :param path: the file, of which each start makes a new one.
    """

    def __init__(self, output: BinaryIO, path: Path) -> None:
        self._output = output
        self._file = path.open("wb", buffering=0)
        self._path = path
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._forward, name="start log", daemon=True)
        self._thread.start()

    def ready(self) -> None:
        """Let text pass from now on: it is no longer about the start."""
        self._is_ready.set()

    def finish(self) -> None:
        """Forward what is left; if the server never became ready, show the text of its start, too."""
        self._thread.join()
        self._output.close()
        self._file.close()
        if not self._is_ready.is_set():
            with self._path.open("rb") as text:
                shutil.copyfileobj(text, sys.stderr.buffer)
                sys.stderr.buffer.flush()

    def _forward(self) -> None:
        for line in self._output:
            if line.startswith(_EVENT) or (self._is_ready.is_set() and not line.startswith(_LATE)):
                # Read on without a terminal: the server would wait for room in the pipe.
                with suppress(OSError):
                    sys.stderr.buffer.write(line)
                    sys.stderr.buffer.flush()
            else:
                self._file.write(line)


@contextmanager
def start_log(path: Path) -> Iterator[tuple[StartLog, int]]:
    """Yield a log, and the file descriptor to which the server's processes write.

    The block must end all processes that have the descriptor: leaving it waits for them to close it.
    """
    reading, writing = os.pipe()
    log = StartLog(os.fdopen(reading, "rb"), path)
    try:
        yield log, writing
    finally:
        os.close(writing)
        log.finish()
