"""The audit trail: a row and a log line for every change, whether made or refused."""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import structlog
from sqlalchemy import insert, select
from sqlalchemy.exc import SQLAlchemyError

from service_kit.access.models import AuditEntry
from service_kit.access.retention import keep_entries
from service_kit.database import Database
from service_kit.old_rows import STEP, delete_step

log = structlog.get_logger()

WRITE_SECONDS = 0.5
"""Seconds between two writes. Many entries share a commit, and requests do not wait for it."""
MAX_WAITING = 10_000
"""At most this many entries wait while the database does not answer; further ones are only logged."""
CLEANUP_SECONDS = 3600
MAX_OBJECT = 512
"""Maximum length of the path in an entry."""


@dataclass(frozen=True)
class Change:
    """A change: who requested it, its target and its outcome.

    :param time: seconds since 1970.
    :param action: the method and the route, such as ``DELETE /api/file-server/<int:file_id>``.
    :param object: the path of the URL, without its query.
    :param status: the HTTP status of the answer.
    """

    time: float
    owner: str
    key_id: str | None
    address: str
    action: str
    object: str
    status: int
    request_id: str


@dataclass(frozen=True)
class AuditFilter:
    """A filter for entries; ``None`` matches all."""

    owner: str | None = None
    key_id: str | None = None
    since: float | None = None


class AuditTrail:
    """Writes entries in the background and reads them.

    :param keep_seconds: how long an entry is kept; ``None`` if another service deletes the old ones.
    """

    def __init__(self, database: Database, keep_seconds: float | None) -> None:
        self._database = database
        self._keep_seconds = keep_seconds
        self._waiting: deque[Mapping[str, object]] = deque()
        self._writing = threading.Lock()
        self._writer: threading.Thread | None = None
        self._closed = threading.Event()
        self._next_cleanup = 0.0
        self._is_kept = False

    def add(self, change: Change) -> None:
        """Log a change at once and write its row within :data:`WRITE_SECONDS`; without an owner, only log it."""
        log.info(
            "audit", **{name: value for name, value in asdict(change).items() if name not in ("time", "request_id")}
        )
        if not change.owner:
            # A refused request without a valid key: strangers must not fill the table.
            return
        if len(self._waiting) >= MAX_WAITING:
            log.error("audit entry not stored: the database does not answer", object=change.object)
            return
        self._waiting.append(asdict(change))
        if self._writer is None:
            # Start the thread at the first change: uWSGI forks after it has loaded the application.
            self._writer = threading.Thread(target=self._write_often, name="audit", daemon=True)
            self._writer.start()

    def page(self, wanted: AuditFilter, after: int, limit: int) -> Sequence[AuditEntry]:
        """Return at most ``limit`` matching entries with an id greater than ``after``, ordered by id."""
        self._write()
        conditions = [AuditEntry.id > after]
        if wanted.owner is not None:
            conditions.append(AuditEntry.owner == wanted.owner)
        if wanted.key_id is not None:
            conditions.append(AuditEntry.key_id == wanted.key_id)
        if wanted.since is not None:
            conditions.append(AuditEntry.time >= wanted.since)
        with self._database.read() as session:
            return session.scalars(select(AuditEntry).where(*conditions).order_by(AuditEntry.id).limit(limit)).all()

    def close(self) -> None:
        """Write the entries that are still waiting."""
        self._closed.set()
        self._write()

    def _write_often(self) -> None:
        while not self._closed.wait(WRITE_SECONDS):
            self._write()

    def _write(self) -> None:
        with self._writing:
            entries = list(self._waiting)
            if not entries and time.monotonic() < self._next_cleanup:
                return
            try:
                self._store(entries)
            except SQLAlchemyError as error:
                log.error("audit entries wait for the database", count=len(entries), error=str(error))
                return
            for _ in entries:
                self._waiting.popleft()
            self._delete_old()

    def _store(self, entries: Sequence[Mapping[str, object]]) -> None:
        if entries:
            with self._database.begin() as connection:
                # Inline: the role of render may not read the ids of new rows.
                connection.execute(insert(AuditEntry).inline(), entries)

    def _delete_old(self) -> None:
        """Delete some old entries once an hour; if more are left, the next write deletes those."""
        if self._keep_seconds is None or time.monotonic() < self._next_cleanup:
            return
        self._next_cleanup = time.monotonic() + CLEANUP_SECONDS
        try:
            self._keep_young(self._keep_seconds)
            if delete_step(self._database, AuditEntry, AuditEntry.time, self._keep_seconds) == STEP:
                self._next_cleanup = 0.0
        except SQLAlchemyError as error:
            log.error("old audit entries wait for the database", error=str(error))

    def _keep_young(self, seconds: float) -> None:
        if self._is_kept:
            return
        with self._database.begin() as connection:
            keep_entries(connection, seconds)
        self._is_kept = True
