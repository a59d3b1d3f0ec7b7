"""Reads request bodies ahead: hashes them, and parses forms, while nginx is still writing them to its folder.

nginx asks for room before it receives a large body. For some time after that, this process watches the folder and reads
each growing file in a thread. If the body has been read when its request arrives, the request uses the result;
otherwise the request reads the body itself. Reading ahead only shortens the client's wait after its last byte.
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

MIN_BYTES = 16 * 1024 * 1024
"""Minimum size of a body to read ahead; a request reads a smaller one faster than a thread starts."""

MAX_BODIES = 16
"""Maximum number of concurrent bodies; if slow clients occupy all of them, other requests only take longer."""

WATCH_SECONDS = 30.0
"""Seconds to keep watching after nginx's last request for room; within this time a body should reach ``MIN_BYTES``."""

IDLE_SECONDS = 120.0
"""Seconds without a write after which a body is abandoned; nginx's client_body_timeout is half of this."""

SCAN_SECONDS = 0.02
"""Seconds between two scans of the folder."""

POLL_SECONDS = (0.005, 0.1)
"""Seconds between reads of a body that does not grow: the first and the longest pause, doubling in between."""

_FORM = re.compile(rb"--([ -~]{1,200})\r\nContent-", re.IGNORECASE)


class _AbandonedError(Exception):
    """No request will come for the body."""


@dataclass(frozen=True)
class ReadBody:
    """A body that was read ahead."""

    staged: StagedBlob
    boundary: bytes | None
    """The boundary, if the body looks like a form; ``None`` if ``staged`` has the whole body."""
    form: Form | None


class ReadAhead:
    """Reads bodies ahead in this process.

    :param folder: nginx's folder of bodies; ``None`` disables reading ahead.
    :param max_bytes: maximum size of a file; a form with a larger file is not read ahead.
    """

    def __init__(self, staging: Staging, folder: Path | None, max_bytes: int) -> None:
        self._staging = staging
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._watched_until = 0.0
        self._is_watched = False
        self._known: set[str] = set()
        """Names of bodies that are being read, or that a request has claimed."""
        self._readers: dict[str, _BodyReader] = {}

    def expect(self) -> None:
        """Watch the folder for some time, because nginx is about to receive a large body."""
        if self._folder is None:
            return
        with self._lock:
            self._watched_until = time.monotonic() + WATCH_SECONDS
            if self._is_watched:
                return
            self._is_watched = True
        threading.Thread(target=self._watch, args=(self._folder,), name="read-ahead", daemon=True).start()

    @contextmanager
    def claim(self, path: Path | None) -> Iterator[Callable[[], ReadBody | None]]:
        """Claim a complete body for its request; leaving the block discards unpublished bytes.

        :returns: a function that finishes reading. It returns ``None`` if the body was not read ahead, or if an error
            occurred.
        """
        reader = self._pop(path) if path else None
        if reader is None:
            yield lambda: None
            return
        try:
            yield reader.finish
        finally:
            reader.discard()

    def close(self) -> None:
        """Stop watching, and discard all unclaimed bodies."""
        with self._lock:
            self._watched_until = 0.0
            readers = list(self._readers.values())
            self._readers.clear()
        for reader in readers:
            reader.discard()

    def _pop(self, path: Path) -> "_BodyReader | None":
        with self._lock:
            self._known.add(path.name)
            return self._readers.pop(path.name, None)

    def _watch(self, folder: Path) -> None:
        while self._keep_watching():
            with suppress(OSError):
                bodies = _active_bodies(folder)
                self._discard_all_but(bodies.keys())
                self._start_readers(bodies)
            time.sleep(SCAN_SECONDS)

    def _keep_watching(self) -> bool:
        with self._lock:
            self._is_watched = bool(self._readers) or time.monotonic() < self._watched_until
            return self._is_watched

    def _discard_all_but(self, names: Set[str]) -> None:
        """Discard bodies that nginx removed because the client disconnected, or left behind when it was killed."""
        with self._lock:
            self._known &= names
            gone = [self._readers.pop(name) for name in self._readers.keys() - names]
        for reader in gone:
            reader.discard()

    def _start_readers(self, bodies: Mapping[str, os.DirEntry[str]]) -> None:
        with self._lock:
            for name in sorted(bodies.keys() - self._known):
                if bodies[name].stat().st_size < MIN_BYTES or len(self._readers) == MAX_BODIES:
                    continue
                with suppress(FileNotFoundError):
                    self._readers[name] = _BodyReader(Path(bodies[name].path), self._staging, self._max_bytes)
                    self._known.add(name)


def _active_bodies(folder: Path) -> Mapping[str, os.DirEntry[str]]:
    """Return the files by name that were written to within ``IDLE_SECONDS``."""
    bodies = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if time.time() - entry.stat().st_mtime < IDLE_SECONDS:
                    bodies[entry.name] = entry
    return bodies


class _BodyReader:
    """A body and the thread that reads it."""

    def __init__(self, path: Path, staging: Staging, max_bytes: int) -> None:
        self._path = path
        self._staging = staging
        self._max_bytes = max_bytes
        self._body = _GrowingBody(path)
        self._resources = ExitStack()
        self._result: ReadBody | None = None
        self._thread = threading.Thread(target=self._run, name=f"read-ahead {path.name}", daemon=True)
        self._thread.start()

    def finish(self) -> ReadBody | None:
        """Read to the end and return the result; ``None`` after an error, or if the path now is another file's."""
        self._body.complete()
        self._thread.join()
        return self._result if self._body.is_at(self._path) else None

    def discard(self) -> None:
        self._body.abandon()
        self._thread.join()
        self._resources.close()
        self._body.close()

    def _run(self) -> None:
        try:
            with ExitStack() as stack:
                self._result = self._read_into(stack)
                self._resources = stack.pop_all()
        except _AbandonedError:
            log.debug("body abandoned", body=self._path.name)
        except (Problem, DomainError, OSError) as error:
            log.info("body not read ahead", body=self._path.name, reason=str(error))

    def _read_into(self, stack: ExitStack) -> ReadBody:
        if form := _FORM.match(self._body.head()):
            boundary = form[1]
            staged = stack.enter_context(self._staging.stage())
            return ReadBody(staged, boundary, read_parts(self._body, boundary, staged, self._max_bytes))
        staged = stack.enter_context(self._staging.adopt(self._path, self._body))
        return ReadBody(staged, None, None)


class _GrowingBody:
    """A file to which another process may still append."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._is_abandoned = False
        self._ended = threading.Event()

    def head(self) -> bytes:
        return os.pread(self._file.fileno(), 300, 0)

    def read(self, size: int) -> bytes:
        """Wait for bytes and return at most ``size`` of them; none at the end of a complete body.

        :raises _AbandonedError: no request will come for the body.
        """
        pause, longest = POLL_SECONDS
        while True:
            # Check before reading, so that bytes written before the end are still read below.
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
        """Mark the body as complete: no bytes will follow."""
        self._ended.set()

    def abandon(self) -> None:
        self._is_abandoned = True
        self._ended.set()

    def is_at(self, path: Path) -> bool:
        """Return whether ``path`` is this file; nginx reuses names after a restart."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), path.stat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        self._file.close()
