"""Finds, lists, reads, changes and deletes stored files."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from typing import cast

import structlog
from service_kit.access.principals import Principal
from service_kit.database import MAX_ID, Database, QuickReadError
from sqlalchemy import Select, func, literal_column, select
from sqlalchemy.orm import defer

from file_storage.models import File
from file_storage.services.errors import bytes_lost, file_not_found
from file_storage.services.file_rows import (
    PRESENT,
    SENT_FILE,
    SENT_OWNED_FILE,
    WITHOUT_SEARCH,
    SentFile,
    find_file,
    find_files,
    find_files_to_send,
    find_first_ids,
)
from file_storage.services.idempotency import IdempotencyKeys, conflict_as_in_use
from file_storage.services.listing import FileFilter, IndexRow
from file_storage.services.names import folded, renamed
from file_storage.services.removal import Removal
from file_storage.storage import BlobStore

log = structlog.get_logger()

INDEX_PART = 20_000
"""Number of rows of an index read at once."""
LOOKUP_PART = 250
"""Number of files of a lookup read at once: a comment has up to 40 KB."""


class FileService:
    """The rules of stored files, over a database and a blob store.

    Files that a principal may not see, and files in the trash, are treated as if they did not exist.
    """

    def __init__(self, database: Database, store: BlobStore, removal: Removal, keys: IdempotencyKeys) -> None:
        self._database = database
        self._store = store
        self._removal = removal
        self._keys = keys

    def get(self, principal: Principal, file_id: int) -> File:
        """Return a file by its id.

        :raises DomainError: ``file-not-found``.
        """
        with self._database.connect() as connection:
            found = find_file(connection, principal, file_id)
        if found is None:
            raise file_not_found(file_id)
        return found

    def sent(self, principal: Principal, file_id: int) -> SentFile | None:
        """Return the properties for a download with one short query; ``None`` if :meth:`get` must raise the error."""
        query = SENT_FILE if principal.sees_all else SENT_OWNED_FILE
        try:
            row = self._database.first_row(query, {"id": file_id, "owner": principal.owner})
        except QuickReadError:
            return None
        return None if row is None else SentFile(*cast("SentFile", row))

    def page(self, principal: Principal, file_filter: FileFilter, after: str, limit: int) -> Sequence[File]:
        """Return at most ``limit`` files that match the filter, in its order, after the cursor ``after``."""
        return self._read(file_filter.page(principal, after, limit).options(*WITHOUT_SEARCH))

    def chosen(self, principal: Principal, file_filter: FileFilter, limit: int) -> Sequence[File]:
        """Return the first files that match the filter, without comments: an archive holds them for long."""
        without = (*WITHOUT_SEARCH, defer(File.comment, raiseload=True))
        return self._read(file_filter.page(principal, "", limit).options(*without))

    def _read(self, page: Select[File]) -> Sequence[File]:
        with self._database.read() as session:
            return session.scalars(page).all()

    def index(self, principal: Principal, file_filter: FileFilter) -> Iterator[Sequence[IndexRow]]:
        """Yield all files that match the filter, in its order, in parts.

        A part is read only on demand, and no connection is held between two parts.
        """
        last: IndexRow | None = None
        while True:
            page = file_filter.index_page(principal, last, INDEX_PART)
            with self._database.connect() as connection:
                rows = cast("Sequence[IndexRow]", connection.execute(page).all())
            yield rows
            if len(rows) < INDEX_PART:
                return
            last = rows[-1]

    def folders(self, principal: Principal, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """Return at most ``limit`` folders that contain files, by name, with the number of files directly in each.

        :param after: the last folder of the previous page; empty for the first page.
        """
        # Must be a literal, so that PostgreSQL recognizes the condition of the partial index.
        in_folders = select(File.folder, func.count()).where(PRESENT, File.folder != literal_column("''"))
        if not principal.sees_all:
            in_folders = in_folders.where(principal.owns(File.owner))
        by_name = in_folders.where(File.folder > after).group_by(File.folder).order_by(File.folder).limit(limit)
        with self._database.connect() as connection:
            return [(folder, files) for folder, files in connection.execute(by_name)]

    def existing(self, principal: Principal, ids: Sequence[int]) -> Sequence[File]:
        """Return the files with one of these ids, in the order of their ids."""
        with self._database.connect() as connection:
            return find_files(connection, principal, ids)

    def to_send(self, principal: Principal, ids: Sequence[int]) -> Sequence[File]:
        """Return the same files in any order, without comments: an archive holds them for long."""
        with self._database.connect() as connection:
            return find_files_to_send(connection, principal, ids)

    def with_digests(self, principal: Principal, digests: Sequence[str]) -> Sequence[int]:
        """Return the id of the first file of each SHA-256, in any order."""
        with self._database.connect() as connection:
            return find_first_ids(connection, principal, digests)

    def looked_up(self, principal: Principal, ids: Sequence[int], digests: Sequence[str]) -> Iterator[File]:
        """Yield the files with one of these ids, and the first file of each SHA-256, in the order of their ids.

        They are read in parts on demand, and no connection is held between two parts.
        """
        wanted = sorted({*ids, *(self.with_digests(principal, digests) if digests else ())})
        for start in range(0, len(wanted), LOOKUP_PART):
            yield from self.existing(principal, wanted[start : start + LOOKUP_PART])

    def location(self, file: File) -> str:
        """Return the path of the file's bytes below the root from which the web server sends files.

        :raises DomainError: ``bytes-lost``.
        """
        with _missing_as_lost(file):
            return self.place(file)

    def place(self, file: File | SentFile) -> str:
        """Return the same path as :meth:`location`.

        :raises FileNotFoundError: bytes are missing.
        """
        return self._store.location(file.sha256, file.size)

    def open(self, file: File) -> BufferedReader:
        """Open the file's bytes for reading.

        :raises DomainError: ``bytes-lost``.
        """
        with _missing_as_lost(file):
            content = self._store.open(file.sha256)
        if content.seek(0, os.SEEK_END) != file.size:
            content.close()
            raise bytes_lost(file)
        content.seek(0)
        return content

    def change(
        self, principal: Principal, file_id: int, name: str | None, comment: str | None, folder: str | None = None
    ) -> File:
        """Change a file's name, comment or folder; ``None`` keeps the old value.

        :param folder: as returned by :mod:`folders`; empty for no folder.
        :raises DomainError: ``file-not-found``; ``invalid-fields`` if the name is not valid.
        """
        seen = select(File).where(File.id == file_id, principal.owns(File.owner), PRESENT)
        with self._database.write() as session:
            file = session.scalar(seen.with_for_update()) if 0 < file_id <= MAX_ID else None
            if file is None:
                raise file_not_found(file_id)
            if name is not None:
                file.name = renamed(name, file.extension)
                file.search_name = folded(file.name + file.extension)
            if comment is not None:
                file.comment = comment
                file.search_comment = folded(comment) or None
            if folder is not None:
                file.folder = folder
            session.flush()
            session.refresh(file)
            return file

    def delete(self, principal: Principal, file_id: int) -> None:
        """Permanently delete a file, bypassing the trash, and its bytes if no other file has them.

        :raises DomainError: ``file-not-found``.
        """
        in_range = 0 < file_id <= MAX_ID
        if not in_range or not self._removal.remove([file_id], PRESENT, principal.owns(File.owner)):
            raise file_not_found(file_id)
        log.info("file deleted", file_id=file_id)

    def revoke(self, principal: Principal, key: str) -> None:
        """Revoke an idempotency key and permanently delete the file uploaded with it, if any.

        :raises DomainError: ``idempotency-key-in-use`` if an upload is using the key.
        """
        file_id = self._keys.file_id(principal, key)
        # In one transaction: a revoked key does not know its file, so a repeated request could not delete it any more.
        # The file is locked before its key, as in every removal of a file.
        ids = [] if file_id is None else [file_id]
        removal = self._removal.removing(ids, PRESENT, principal.owns(File.owner))
        with conflict_as_in_use([key]), removal as removing:
            self._keys.revoke(removing.connection, principal.owner, key, file_id)
        if removing.ids:
            log.info("file deleted", file_id=file_id)


@contextmanager
def _missing_as_lost(file: File) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise bytes_lost(file) from error
