"""Checks the rows against the stored bytes and repairs what it can; safe while the server runs."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import structlog
from service_kit.database import Database
from sqlalchemy import func, select, update

from file_storage.models import Blob, File
from file_storage.services.blobs import BlobService
from file_storage.services.file_rows import PRESENT
from file_storage.services.media.media import taken_at_of
from file_storage.storage import BlobStore, Staging

log = structlog.get_logger()

PAGE_SIZE = 1000
"""Number of blobs per query."""
MAX_LOGGED_IDS = 100
"""Maximum number of file ids in the log line of a lost blob; files in the trash have a list of their own."""


class BlobState(StrEnum):
    """The condition of a blob's bytes."""

    WHOLE = "whole"
    MISSING = "missing"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"


class Finding(NamedTuple):
    """The result of checking a blob's bytes."""

    state: BlobState
    reason: str = ""
    """Why the blob is not whole."""


WHOLE = Finding(BlobState.WHOLE)


@dataclass
class BlobCounts:
    """Number of blobs checked, and of those with each fault.

    :param missing: blobs whose bytes are gone; their files are lost unless the bytes are uploaded again.
    :param damaged: blobs whose bytes do not match their name; lost in the same way.
    :param unreadable: blobs that could not be read because of a failing disk or missing permissions; left in place.
    :param miscounted: blobs with a wrong count of files, now corrected.
    :param orphans: blobs and staging files without a file, now removed.
    :param dated: photos of versions that did not read their dates, now with the date.
    """

    blobs: int = 0
    missing: int = 0
    damaged: int = 0
    unreadable: int = 0
    miscounted: int = 0
    orphans: int = 0
    dated: int = 0

    @property
    def lost(self) -> int:
        return self.missing + self.damaged + self.unreadable


class Fsck:
    """Checks all stored files."""

    def __init__(self, database: Database, store: BlobStore, blobs: BlobService, staging: Staging) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs
        self._staging = staging

    def run(self, older_than_seconds: float, *, read_bytes: bool) -> BlobCounts:
        """Check every blob and log a line for each fault.

        Damaged bytes are set aside so that they cannot be downloaded. An upload of the right bytes repairs a blob.

        :param older_than_seconds: keep younger bytes without a file: they may belong to an unfinished upload.
        :param read_bytes: also compare the bytes with their SHA-256, which takes as long as reading them.
        """
        counts = BlobCounts()
        for sha256 in self._referenced():
            counts.blobs += 1
            counts.miscounted += self._recount(sha256)
            with self._database.connect() as connection:
                version = self._store.version(connection, sha256)
            finding = self._check(sha256, read_bytes=read_bytes)
            if finding == WHOLE:
                counts.dated += self._date(sha256)
                continue
            state = self._confirm(sha256, version, finding)
            counts.missing += state is BlobState.MISSING
            counts.damaged += state is BlobState.DAMAGED
            counts.unreadable += state is BlobState.UNREADABLE
        counts.orphans = self._blobs.collect_garbage(older_than_seconds) + self._staging.sweep(older_than_seconds)
        return counts

    def _confirm(self, sha256: str, version: str, finding: Finding) -> BlobState:
        """Report a faulty blob and set damaged bytes aside, under its row's lock.

        Every upload and deletion takes this lock before it changes the bytes, so a blob that was repaired or deleted
        after the check of this version counts as whole.
        """
        unfinished: Sequence[str] = []
        with self._database.write() as session:
            locked = select(Blob.sha256).where(Blob.sha256 == sha256, Blob.file_count > 0).with_for_update()
            if session.scalar(locked) is None or self._store.version(session.connection(), sha256) != version:
                return BlobState.WHOLE
            files = select(File.id, PRESENT).where(File.sha256 == sha256).order_by(File.id).limit(MAX_LOGGED_IDS)
            found = session.execute(files).all()
            ids = {
                "file_ids": [file_id for file_id, is_present in found if is_present],
                "trashed_ids": [file_id for file_id, is_present in found if not is_present],
            }
            log.error("blob lost", sha256=sha256, state=finding.state, reason=finding.reason, **ids)
            if finding.state is BlobState.DAMAGED:
                unfinished = self._store.set_aside(session.connection(), sha256)
        self._store.finish(unfinished)
        return finding.state

    def _date(self, sha256: str) -> int:
        """Record when an image was taken for its files without a date, and return their number.

        Versions before ``taken_at`` stored none, and the dates of a few formats were added later.
        """
        undated = (File.sha256 == sha256, File.media_type.startswith("image/"), File.taken_at.is_(None))
        with self._database.connect() as connection:
            media_type = connection.scalar(select(File.media_type).where(*undated).limit(1))
        if media_type is None:
            return 0
        with suppress(OSError), self._store.open(sha256) as file:
            taken_at = taken_at_of(media_type, file)
            if taken_at is not None:
                # The file itself does not change.
                dated = update(File).where(*undated).values(taken_at=taken_at, updated_at=File.updated_at)
                with self._database.begin() as connection:
                    return connection.execute(dated).rowcount
        return 0

    def _referenced(self) -> Iterator[str]:
        last = ""
        while page := self._page(last):
            yield from page
            last = page[-1]

    def _page(self, after: str) -> Sequence[str]:
        with self._database.read() as session:
            page = select(Blob.sha256).where(Blob.sha256 > after).order_by(Blob.sha256).limit(PAGE_SIZE)
            return session.scalars(page).all()

    def _recount(self, sha256: str) -> bool:
        counted = select(func.count()).select_from(File).where(File.sha256 == sha256).scalar_subquery()
        wrong = (Blob.sha256 == sha256) & (Blob.file_count != counted)
        with self._database.read() as session:
            if session.scalar(select(Blob.sha256).where(wrong)) is None:
                return False
        with self._database.write() as session:
            # Count again under the row's lock, which every upload and deletion takes before it changes the files.
            session.scalar(select(Blob.sha256).where(Blob.sha256 == sha256).with_for_update())
            count = session.scalar(update(Blob).where(wrong).values(file_count=counted).returning(Blob.file_count))
        if count is not None:
            log.warning("blob miscounted", sha256=sha256, file_count=count)
        return count is not None

    def _check(self, sha256: str, *, read_bytes: bool) -> Finding:
        try:
            with self._store.open(sha256) as file:
                if not read_bytes or hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                    return WHOLE
                return Finding(BlobState.DAMAGED, "its bytes have another SHA-256")
        except FileNotFoundError:
            return Finding(BlobState.MISSING, "its bytes are missing")
        except OSError as error:
            return Finding(BlobState.UNREADABLE, str(error))
