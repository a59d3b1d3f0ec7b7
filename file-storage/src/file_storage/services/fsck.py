"""Compares rows with bytes, finds what is wrong and mends what can be; safe while the server runs."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog
from service_kit.database import Database
from sqlalchemy import func, select, update

from file_storage.models import Blob, File
from file_storage.services.files import FileService
from file_storage.storage import BlobStore

log = structlog.get_logger()

AT_ONCE = 1000
NAMED_FILES = 100


@dataclass
class Report:
    """How many blobs were looked at, and what was wrong with them.

    :param missing: blobs whose bytes are gone, as ``damaged`` ones that are other bytes: files are lost, unless
        somebody uploads them again.
    :param miscounted: blobs whose count of files was wrong, now mended.
    :param orphans: bytes and staging files that no file has, now removed.
    """

    blobs: int = 0
    missing: int = 0
    damaged: int = 0
    miscounted: int = 0
    orphans: int = 0

    @property
    def lost(self) -> int:
        return self.missing + self.damaged


class Fsck:
    """The check of everything that is stored."""

    def __init__(self, database: Database, blobs: BlobStore, files: FileService) -> None:
        self._database = database
        self._blobs = blobs
        self._files = files

    def run(self, older_than_seconds: float, *, read_bytes: bool) -> Report:
        """Checks every blob, and logs a line for each that is not as it should be.

        Damaged bytes are set aside, so that nobody is given them: an upload of the right ones heals the blob.

        :param older_than_seconds: bytes without a file that were written later may belong to an upload on its way.
        :param read_bytes: compares the bytes with their SHA-256 too, which takes as long as reading them.
        """
        report = Report()
        for sha256 in self._referenced():
            report.blobs += 1
            report.miscounted += self._recount(sha256)
            state = self._state(sha256, read_bytes=read_bytes)
            if state == "whole":
                continue
            file_ids = self._files_of(sha256)
            if not file_ids:
                continue
            log.error("blob lost", sha256=sha256, state=state, file_ids=file_ids)
            if state == "missing":
                report.missing += 1
            else:
                report.damaged += 1
                self._blobs.set_aside(sha256)
        report.orphans = sum(self._files.collect_garbage(older_than_seconds))
        return report

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

    def _state(self, sha256: str, *, read_bytes: bool) -> str:
        try:
            with self._blobs.open(sha256) as file:
                if not read_bytes:
                    return "whole"
                return "whole" if hashlib.file_digest(file, "sha256").hexdigest() == sha256 else "damaged"
        except FileNotFoundError:
            return "missing"
        except OSError as error:
            log.error("blob unreadable", sha256=sha256, error=str(error))
            return "damaged"

    def _files_of(self, sha256: str) -> list[int]:
        """Asked last: a file that was deleted meanwhile is not lost."""
        with self._database.read() as session:
            return list(
                session.scalars(select(File.id).where(File.sha256 == sha256).order_by(File.id).limit(NAMED_FILES))
            )
