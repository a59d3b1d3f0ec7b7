"""Keeps uWSGI's start messages off the terminal, where they would bury the server's address."""

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
"""Prefixes of lines in which a uWSGI process reports its own start, even after another one is ready."""


class StartLog:
    """Filters the processes' output: events go to the terminal, other text to a file until the server is ready.

    :param output: the read end of the processes' output pipe.
    :param path: the log file; each start replaces it.
    """

    def __init__(self, output: BinaryIO, path: Path) -> None:
        self._output = output
        self._file = path.open("wb", buffering=0)
        self._path = path
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._forward, name="start log", daemon=True)
        self._thread.start()

    def ready(self) -> None:
        """Pass all further text to the terminal: the server has started."""
        self._is_ready.set()

    def finish(self) -> None:
        """Forward the remaining output; if the server never became ready, show the start messages too."""
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
                # Keep reading without a terminal: otherwise the pipe would fill and block the server.
                with suppress(OSError):
                    sys.stderr.buffer.write(line)
                    sys.stderr.buffer.flush()
            else:
                self._file.write(line)


@contextmanager
def start_log(path: Path) -> Iterator[tuple[StartLog, int]]:
    """Yield a log, and the file descriptor to which the server's processes write.

    The block must end all processes that hold the descriptor: leaving it waits for them to close it.
    """
    reading, writing = os.pipe()
    log = StartLog(os.fdopen(reading, "rb"), path)
    try:
        yield log, writing
    finally:
        os.close(writing)
        log.finish()
