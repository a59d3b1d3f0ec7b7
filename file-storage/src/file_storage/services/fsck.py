"""Compares rows with bytes, finds what is wrong and mends what can be; safe while the server runs."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import structlog
from service_kit.database import Database
from sqlalchemy import func, select, update

from file_storage.models import Blob, File
from file_storage.services.blobs import BlobService
from file_storage.storage import BlobStore, Staging

log = structlog.get_logger()

AT_ONCE = 1000
NAMED_FILES = 100


class State(StrEnum):
    """What became of a blob's bytes."""

    WHOLE = "whole"
    MISSING = "missing"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"


class Finding(NamedTuple):
    """A look at a blob's bytes."""

    state: State
    reason: str = ""
    """Why not whole."""


WHOLE = Finding(State.WHOLE)


@dataclass
class Report:
    """How many blobs were looked at, and what was wrong with them.

    :param missing: blobs whose bytes are gone, as ``damaged`` ones that are other bytes: files are lost, unless
        somebody uploads them again.
    :param unreadable: blobs that could not be read, as by a failing disk or without the right to; left where they are.
    :param miscounted: blobs whose count of files was wrong, now mended.
    :param orphans: bytes and staging files that no file has, now removed.
    """

    blobs: int = 0
    missing: int = 0
    damaged: int = 0
    unreadable: int = 0
    miscounted: int = 0
    orphans: int = 0

    @property
    def lost(self) -> int:
        return self.missing + self.damaged + self.unreadable


class Fsck:
    """The check of everything that is stored."""

    def __init__(self, database: Database, store: BlobStore, blobs: BlobService, staging: Staging) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs
        self._staging = staging

    def run(self, older_than_seconds: float, *, read_bytes: bool) -> Report:
        """Checks every blob, and logs a line for each that is not as it should be.

        Damaged bytes are set aside, so that nobody is given them. An upload of the right ones heals a blob.

        :param older_than_seconds: bytes without a file that were written later may belong to an upload on its way.
        :param read_bytes: compares the bytes with their SHA-256 too, which takes as long as reading them.
        """
        report = Report()
        for sha256 in self._referenced():
            report.blobs += 1
            report.miscounted += self._recount(sha256)
            if self._look(sha256, read_bytes=read_bytes) == WHOLE:
                continue
            state = self._confirm(sha256, read_bytes=read_bytes)
            report.missing += state is State.MISSING
            report.damaged += state is State.DAMAGED
            report.unreadable += state is State.UNREADABLE
        report.orphans = self._blobs.collect_garbage(older_than_seconds) + self._staging.sweep(older_than_seconds)
        return report

    def _confirm(self, sha256: str, *, read_bytes: bool) -> State:
        """Looks again at a blob that was not whole, and sets damaged bytes aside.

        Under the row's lock, which every upload and deletion takes before it changes the bytes: what an upload has
        healed meanwhile is whole, and what was deleted is missed by nobody.
        """
        with self._database.write() as session:
            locked = select(Blob.sha256).where(Blob.sha256 == sha256, Blob.file_count > 0).with_for_update()
            if session.scalar(locked) is None:
                return State.WHOLE
            state, reason = self._look(sha256, read_bytes=read_bytes)
            if state is State.WHOLE:
                return state
            files = select(File.id).where(File.sha256 == sha256).order_by(File.id).limit(NAMED_FILES)
            log.error("blob lost", sha256=sha256, state=state, reason=reason, file_ids=list(session.scalars(files)))
            if state is State.DAMAGED:
                self._store.set_aside(sha256)
            return state

    def _referenced(self) -> Iterator[str]:
        last = ""
        while page := self._page(last):
            yield from page
            last = page[-1]

    def _page(self, after: str) -> Sequence[str]:
        with self._database.read() as session:
            page = select(Blob.sha256).where(Blob.sha256 > after).order_by(Blob.sha256).limit(AT_ONCE)
            return session.scalars(page).all()

    def _recount(self, sha256: str) -> bool:
        counted = select(func.count()).select_from(File).where(File.sha256 == sha256).scalar_subquery()
        wrong = (Blob.sha256 == sha256) & (Blob.file_count != counted)
        with self._database.read() as session:
            if session.scalar(select(Blob.sha256).where(wrong)) is None:
                return False
        with self._database.write() as session:
            # Read again under the row's lock, which every upload and deletion takes before it changes the files.
            session.scalar(select(Blob.sha256).where(Blob.sha256 == sha256).with_for_update())
            mended = session.scalar(update(Blob).where(wrong).values(file_count=counted).returning(Blob.file_count))
        if mended is not None:
            log.warning("blob miscounted", sha256=sha256, file_count=mended)
        return mended is not None

    def _look(self, sha256: str, *, read_bytes: bool) -> Finding:
        try:
            with self._store.open(sha256) as file:
                if not read_bytes or hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                    return WHOLE
                return Finding(State.DAMAGED, "its bytes have another SHA-256")
        except FileNotFoundError:
            return Finding(State.MISSING, "its bytes are not there")
        except OSError as error:
            return Finding(State.UNREADABLE, str(error))
