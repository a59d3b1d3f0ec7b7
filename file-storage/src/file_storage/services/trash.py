"""The trash: deleted files that can be restored for some time. They are invisible everywhere else."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import structlog
from service_kit.access.principals import Principal
from service_kit.database import MAX_ID, Database, epoch_now
from service_kit.errors import DomainError
from service_kit.texts import sentence
from sqlalchemy import ColumnElement, Connection, delete, select, tuple_, update

from file_storage.models import File, IdempotencyKey, Upload
from file_storage.services.errors import file_not_found
from file_storage.services.file_rows import GIVEN_IDS, HAS_ID, NOT_EXPIRED, PRESENT, WITHOUT_SEARCH, lock_files
from file_storage.services.listing import FileFilter
from file_storage.services.removal import Removal

log = structlog.get_logger()

MAX_FILES = 10_000
"""Maximum number of files deleted by one request."""
MAX_SECONDS = 20.0
"""Seconds after which a request starts no further step: it must answer before its timeout (see ``wsgi.ini``)."""
MOVED_AT_ONCE = 1000
"""Number of files that one transaction moves to the trash or restores."""
REMOVED_AT_ONCE = 100
"""Number of files that one transaction removes with their bytes."""

_IN_TRASH = File.deleted_at.is_not(None)
_CURSOR = re.compile(r"([0-9]{1,12}\.[0-9]{1,9})_([0-9]{1,18})")
_SAME_TIME = {"updated_at": File.updated_at}
"""Deleting or restoring does not change a file: without this, ``onupdate`` would set the time."""


class Deleted(NamedTuple):
    """The result of a deletion.

    :param more: the request ended early; repeating it deletes the rest.
    :param restore_until: when the first of the files can no longer be restored, in seconds since 1970; ``None`` if they
        cannot be restored, or if nothing was deleted.
    """

    ids: Sequence[int]
    more: bool
    restore_until: float | None


class Emptied(NamedTuple):
    """The number of files that a request removed from the trash, and whether it ended early, as in :class:`Deleted`."""

    removed: int
    more: bool


class _Moved(NamedTuple):
    ids: Sequence[int]
    restore_until: float | None = None


class _Oldest:
    """Finds the files in the trash that were deleted first, in steps.

    Each step begins where the last one ended, until there are no more: while an old snapshot is held, the index has an
    entry for each removed file, which each step would read again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._begin = 0.0

    def next(self, condition: ColumnElement[bool]) -> Sequence[int]:
        """Return the next :data:`REMOVED_AT_ONCE` files that meet the condition; if they are fewer, start over."""
        following = select(File.id, File.deleted_at).where(_IN_TRASH, File.deleted_at >= self._begin, condition)
        with self._database.connect() as connection:
            rows = connection.execute(following.order_by(File.deleted_at, File.id).limit(REMOVED_AT_ONCE)).all()
        self._begin = rows[-1].deleted_at or 0.0 if len(rows) == REMOVED_AT_ONCE else 0.0
        return [row.id for row in rows]


class TrashService:
    """Deletes and restores files.

    Files in the trash count towards quotas until they are removed.

    :param seconds: time for which a deleted file can be restored; 0 removes it at once.
    """

    def __init__(self, database: Database, removal: Removal, seconds: float) -> None:
        self._database = database
        self._removal = removal
        self._seconds = seconds
        self._expired = _Oldest(database)

    def restore_until(self, file: File) -> float:
        """Return when a file in the trash can no longer be restored, in seconds since 1970."""
        return self._end(file.deleted_at, file.expires_at)

    def delete(self, principal: Principal, file_id: int) -> None:
        """Delete a file.

        :raises DomainError: ``file-not-found``.
        """
        if not 0 < file_id <= MAX_ID or not self._delete(principal, [file_id]).ids:
            raise file_not_found(file_id)
        log.info("file deleted", file_id=file_id)

    def delete_all(self, principal: Principal, ids: Sequence[int]) -> Deleted:
        """Delete the existing files among ``ids``."""
        wanted = _steps(ids, self._step())
        return self._delete_in_steps(principal, lambda _: next(wanted, ()))

    def delete_matching(self, principal: Principal, file_filter: FileFilter) -> Deleted:
        """Delete all files that match the filter, the oldest first."""

        def matching(after: int) -> Sequence[int]:
            page = file_filter.page(principal, str(after), self._step())
            with self._database.connect() as connection:
                return connection.scalars(page.with_only_columns(File.id)).all()

        # A file that was found may be changed before it is locked: check again then whether it matches.
        return self._delete_in_steps(principal, matching, *file_filter.conditions())

    def restore(self, principal: Principal, ids: Sequence[int]) -> Sequence[int]:
        """Restore those of the files that are in the trash; return their ids in ascending order."""
        restored: list[int] = []
        no_more = update(File).where(HAS_ID).values(deleted_at=None, **_SAME_TIME)
        for step in _steps(ids, MOVED_AT_ONCE):
            with self._database.begin() as connection:
                found = lock_files(connection, step, self._restorable(), principal.owns(File.owner))
                connection.execute(no_more, {"ids": found})
            restored += found
        log.info("files restored", files=len(restored))
        return restored

    def page(self, principal: Principal, after: str, limit: int) -> Sequence[File]:
        """Return at most ``limit`` restorable files after the cursor ``after``, the last deleted first.

        :raises DomainError: ``page-not-found`` if the cursor is malformed.
        """
        restorable = select(File).where(self._restorable(), principal.owns(File.owner))
        page = restorable.options(*WITHOUT_SEARCH).limit(limit)
        if after:
            page = page.where(tuple_(File.deleted_at, File.id) < tuple_(*_position(after)))
        with self._database.read() as session:
            return session.scalars(page.order_by(File.deleted_at.desc(), File.id.desc())).all()

    def cursor(self, file: File) -> str:
        """Return the cursor of a file in the trash; the next page begins after it."""
        return f"{file.deleted_at or 0.0:.9f}_{file.id}"

    def empty(self, principal: Principal, ids: Sequence[int] | None) -> Emptied:
        """Permanently remove these files from the trash; ``None`` removes all that the principal can see."""
        if ids is None:
            oldest = _Oldest(self._database)
            emptied = self._remove_in_steps(lambda: oldest.next(principal.owns(File.owner)), principal)
        else:
            wanted = _steps(ids, REMOVED_AT_ONCE)
            emptied = self._remove_in_steps(lambda: next(wanted, ()), principal)
        log.info("trash emptied", files=emptied.removed)
        return emptied

    def collect_garbage(self) -> int:
        """Remove all files whose time in the trash is over; return their number."""
        removed = 0
        while ended := self.end_expired():
            removed += ended
        return removed

    def end_expired(self) -> int:
        """Remove at most :data:`REMOVED_AT_ONCE` files whose time in the trash is over; return their number."""
        if self._removal.must_wait:
            return 0
        expired = File.deleted_at <= epoch_now() - self._seconds
        return len(self._removal.remove(self._expired.next(expired), expired))

    def _step(self) -> int:
        return MOVED_AT_ONCE if self._seconds else REMOVED_AT_ONCE

    def _restorable(self) -> ColumnElement[bool]:
        return _IN_TRASH & (File.deleted_at > epoch_now() - self._seconds) & NOT_EXPIRED

    def _delete_in_steps(
        self, principal: Principal, following: Callable[[int], Sequence[int]], *conditions: ColumnElement[bool]
    ) -> Deleted:
        """Delete files step by step.

        :param following: returns the ids of the next step, all greater than its argument.
        :param conditions: which of them are deleted.
        """
        deadline = time.monotonic() + MAX_SECONDS
        ids: list[int] = []
        until: float | None = None
        step = following(0)
        while step:
            moved = self._delete(principal, step, *conditions)
            ids += moved.ids
            if moved.restore_until is not None:
                until = moved.restore_until if until is None else min(until, moved.restore_until)
            step = following(step[-1])
            if _is_enough(len(ids), deadline):
                break
        log.info("files deleted", files=len(ids))
        return Deleted(ids, bool(step), until)

    def _remove_in_steps(self, following: Callable[[], Sequence[int]], principal: Principal) -> Emptied:
        deadline = time.monotonic() + MAX_SECONDS
        removed = 0
        step = following()
        while step:
            removed += len(self._removal.remove(step, _IN_TRASH, principal.owns(File.owner)))
            step = following()
            if _is_enough(removed, deadline):
                break
        return Emptied(removed, bool(step))

    def _delete(self, principal: Principal, ids: Sequence[int], *conditions: ColumnElement[bool]) -> _Moved:
        seen = (PRESENT, principal.owns(File.owner), *conditions)
        if not self._seconds:
            return _Moved(self._removal.remove(ids, *seen))
        with self._database.begin() as connection:
            found = lock_files(connection, ids, *seen)
            if not found:
                return _Moved([])
            return _Moved(found, min(self._end(*times) for times in _move(connection, found)))

    def _end(self, deleted_at: float | None, expires_at: float | None) -> float:
        until = (deleted_at or 0.0) + self._seconds
        return until if expires_at is None else min(until, expires_at)


def _move(connection: Connection, ids: Sequence[int]) -> Sequence[tuple[float | None, float | None]]:
    """Move locked files to the trash; return the time of deletion and expiry of each.

    Keys and uploads lose their reference to the file, as when it is removed.
    """
    these = {"ids": list(ids)}
    moved = (
        update(File)
        .where(HAS_ID)
        .values(deleted_at=epoch_now(), **_SAME_TIME)
        .returning(File.deleted_at, File.expires_at)
    )
    times = [(deleted_at, expires_at) for deleted_at, expires_at in connection.execute(moved, these)]
    connection.execute(delete(IdempotencyKey).where(IdempotencyKey.file_id.in_(GIVEN_IDS)), these)
    connection.execute(update(Upload).where(Upload.file_id.in_(GIVEN_IDS)).values(file_id=None), these)
    return times


def _is_enough(done: int, deadline: float) -> bool:
    # Do at least one step, so that a repeated request, which first skips finished work, makes progress.
    return done >= MAX_FILES or (done > 0 and time.monotonic() >= deadline)


def _steps(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    ordered = sorted(set(ids))
    return (ordered[start : start + size] for start in range(0, len(ordered), size))


def _position(cursor: str) -> tuple[float, int]:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        detail = sentence("This is not a valid cursor; take the next page's URL from the Link header.")
        raise DomainError("page-not-found", detail)
    return float(found[1]), int(found[2])
