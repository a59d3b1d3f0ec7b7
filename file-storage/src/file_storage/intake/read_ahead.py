"""Bodies read ahead: hashed, and where they are forms parsed, while nginx still writes them to its folder.

nginx asks before a large body comes. From then on the folder is watched, and what grows in it is read by a thread of
its own. When the body is complete its request finds the work done. Where it does not, for whatever reason, it reads the
body itself: nothing depends on what is here but how long a client waits after its last byte.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from service_kit.errors import DomainError
from service_kit.problems import Problem

from file_storage.intake.multipart import Form, read_parts
from file_storage.storage import StagedBlob, Staging

log = structlog.get_logger()

WORTH_IT = 16 * 1024 * 1024
"""A body of fewer bytes is read as soon as a thread has begun."""

MAX_READINGS = 16
"""Bodies that are read ahead at once; slow clients may hold them all, and others lose nothing but time."""

WATCHED_SECONDS = 30.0
"""So long after nginx has asked for the last time, a body is expected to have become worth it."""

IDLE_SECONDS = 120.0
"""A body to which nothing came for so long is nobody's: nginx's client_body_timeout is half of that."""

WATCH_PAUSE = 0.02
PAUSES = (0.005, 0.1)
"""Seconds between looks at a body that does not grow: the first, and the longest, each twice the one before."""

_FORM = re.compile(rb"--([ -~]{1,200})\r\nContent-", re.IGNORECASE)


class _AbandonedError(Exception):
    """Nobody will ask for the body."""


@dataclass(frozen=True)
class ReadBody:
    """A body that was read ahead."""

    staged: StagedBlob
    boundary: bytes | None
    """Of the form that it seems to be; ``None`` where ``staged`` has all of its bytes."""
    form: Form | None


class ReadAhead:
    """The bodies that are read ahead in this process.

    :param folder: where nginx keeps bodies, if it does.
    :param max_bytes: of a file; a form with more is left to its request.
    """

    def __init__(self, staging: Staging, folder: Path | None, max_bytes: int) -> None:
        self._staging = staging
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._watched_until = 0.0
        self._is_watched = False
        self._known: set[str] = set()
        """Names in the folder that are read, or that a request has come for."""
        self._readings: dict[str, _Reading] = {}

    def expect(self) -> None:
        """Says that a large body is about to come."""
        if self._folder is None:
            return
        with self._lock:
            self._watched_until = time.monotonic() + WATCHED_SECONDS
            if self._is_watched:
                return
            self._is_watched = True
        threading.Thread(target=self._watch, args=(self._folder,), name="read-ahead", daemon=True).start()

    @contextmanager
    def taken(self, path: Path | None) -> Iterator[Callable[[], ReadBody | None]]:
        """A body that is complete; what is not published of it when the block is left is forgotten.

        :returns: what reads it to its end. It gives ``None`` where the body was not read ahead, or something was wrong
            with it.
        """
        reading = self._pop(path) if path else None
        if reading is None:
            yield lambda: None
            return
        try:
            yield reading.finished
        finally:
            reading.forget()

    def close(self) -> None:
        """Forgets what no request has come for."""
        with self._lock:
            self._watched_until = 0.0
            readings = list(self._readings.values())
            self._readings.clear()
        for reading in readings:
            reading.forget()

    def _pop(self, path: Path) -> "_Reading | None":
        with self._lock:
            self._known.add(path.name)
            return self._readings.pop(path.name, None)

    def _watch(self, folder: Path) -> None:
        while self._goes_on():
            with suppress(OSError):
                coming = _coming(folder)
                self._forget_all_but(coming.keys())
                self._begin(coming)
            time.sleep(WATCH_PAUSE)

    def _goes_on(self) -> bool:
        with self._lock:
            self._is_watched = bool(self._readings) or time.monotonic() < self._watched_until
            return self._is_watched

    def _forget_all_but(self, coming: Set[str]) -> None:
        """Clients that hung up take their bodies with them; an nginx that was killed leaves them."""
        with self._lock:
            self._known &= coming
            gone = [self._readings.pop(name) for name in self._readings.keys() - coming]
        for reading in gone:
            reading.forget()

    def _begin(self, coming: Mapping[str, os.DirEntry[str]]) -> None:
        with self._lock:
            for name in sorted(coming.keys() - self._known):
                if coming[name].stat().st_size < WORTH_IT or len(self._readings) == MAX_READINGS:
                    continue
                with suppress(FileNotFoundError):
                    self._readings[name] = _Reading(Path(coming[name].path), self._staging, self._max_bytes)
                    self._known.add(name)


def _coming(folder: Path) -> Mapping[str, os.DirEntry[str]]:
    """The bodies that are written to, or were a moment ago, by name."""
    coming = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if time.time() - entry.stat().st_mtime < IDLE_SECONDS:
                    coming[entry.name] = entry
    return coming


class _Reading:
    """One body, and the thread that reads it."""

    def __init__(self, path: Path, staging: Staging, max_bytes: int) -> None:
        self._path = path
        self._staging = staging
        self._max_bytes = max_bytes
        self._body = _GrowingBody(path)
        self._kept = ExitStack()
        self._read: ReadBody | None = None
        self._thread = threading.Thread(target=self._run, name=f"read-ahead {path.name}", daemon=True)
        self._thread.start()

    def finished(self) -> ReadBody | None:
        """What was read, once all was, if the name still is that of the file that it was read from."""
        self._body.complete()
        self._thread.join()
        return self._read if self._body.is_in(self._path) else None

    def forget(self) -> None:
        self._body.abandon()
        self._thread.join()
        self._kept.close()
        self._body.close()

    def _run(self) -> None:
        try:
            with ExitStack() as stack:
                self._read = self._read_into(stack)
                self._kept = stack.pop_all()
        except _AbandonedError:
            log.debug("body abandoned", body=self._path.name)
        except (Problem, DomainError, OSError) as error:
            log.info("body not read ahead", body=self._path.name, reason=str(error))

    def _read_into(self, stack: ExitStack) -> ReadBody:
        if form := _FORM.match(self._body.beginning()):
            boundary = form[1]
            staged = stack.enter_context(self._staging.stage())
            return ReadBody(staged, boundary, read_parts(self._body, boundary, staged, self._max_bytes))
        staged = stack.enter_context(self._staging.adopt(self._path, self._body))
        return ReadBody(staged, None, None)


class _GrowingBody:
    """A file that another process still appends to."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._is_abandoned = False
        self._ended = threading.Event()

    def beginning(self) -> bytes:
        return os.pread(self._file.fileno(), 300, 0)

    def read(self, size: int) -> bytes:
        """Some bytes, as soon as there are; none once the body is complete and all was read.

        :raises _AbandonedError: nobody will ask for it.
        """
        pause, longest = PAUSES
        while True:
            # Asked first: what had come by then is read below.
            has_ended = self._ended.is_set()
            if self._is_abandoned:
                raise _AbandonedError
            if data := self._file.read(size):
                return data
            if has_ended:
                return b""
            self._ended.wait(pause)
            pause = min(2 * pause, longest)

    def complete(self) -> None:
        """Nothing will be appended any more."""
        self._ended.set()

    def abandon(self) -> None:
        self._is_abandoned = True
        self._ended.set()

    def is_in(self, path: Path) -> bool:
        """Whether ``path`` leads to this file; nginx gives a name again when it was started anew."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), path.stat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        self._file.close()
