"""Idempotency keys: the same key makes the same file once, and a revoked key makes none."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from service_kit.database import Database, epoch_now
from service_kit.errors import DomainError
from sqlalchemy import Connection, Row, bindparam, delete, insert, select
from sqlalchemy.exc import IntegrityError

from file_storage.models import File, IdempotencyKey
from file_storage.services.file_rows import FILE, files_of

KEY_LIFETIME = 24 * 3600
"""Seconds for which an idempotency key is kept."""

FORGET_KEYS_SECONDS = 60
"""Uploads delete expired keys at most once in this time."""

_INSERT_KEYS = insert(IdempotencyKey)
_USED_KEYS = select(IdempotencyKey.key, IdempotencyKey.fingerprint, IdempotencyKey.file_id).where(
    IdempotencyKey.key.in_(bindparam("keys", expanding=True))
)


class KeyUse(NamedTuple):
    """A key, and the fingerprint of what is stored with it."""

    key: str
    fingerprint: str


class IdempotencyKeys:
    """The keys of files, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._forget_from = 0.0

    def made_earlier(self, connection: Connection, uses: Sequence[KeyUse]) -> Mapping[str, File | DomainError]:
        """Return what each key that was used before has led to, by key: its file, or why it forbids this use."""
        self._forget_expired(connection)
        used = {row.key: row for row in connection.execute(_USED_KEYS, {"keys": [use.key for use in uses]})}
        return {use.key: _file_of(connection, used[use.key], use.fingerprint) for use in uses if use.key in used}

    def record(self, connection: Connection, made: Mapping[KeyUse, int]) -> None:
        """Record the id of the file that each use of a key has made."""
        if made:
            rows = [{"key": use.key, "fingerprint": use.fingerprint, "file_id": made[use]} for use in sorted(made)]
            connection.execute(_INSERT_KEYS, rows)

    def file(self, key: str) -> File:
        """Return the file that an upload with this key made.

        :raises DomainError: ``file-not-found``, the key was not used, was revoked, or is forgotten.
        """
        used = select(IdempotencyKey.file_id).where(IdempotencyKey.key == key).scalar_subquery()
        with self._database.read() as session:
            file = session.scalar(select(File).where(File.id == used))
        if file is None:
            raise DomainError("file-not-found", f"No file was made with the Idempotency-Key '{key}'.")
        return file

    def revoke(self, key: str) -> int | None:
        """Let nothing be made with this key from now on; return the id of the file that it made, if any.

        :raises DomainError: ``idempotency-key-in-use``, an upload uses it right now.
        """
        with one_use_of([key]), self._database.write() as session:
            used = session.get(IdempotencyKey, key, with_for_update=True)
            if used is None:
                session.add(IdempotencyKey(key=key, fingerprint=""))
                return None
            file_id, used.file_id = used.file_id, None
            return file_id

    def _forget_expired(self, connection: Connection) -> None:
        if time.monotonic() < self._forget_from:
            return
        self._forget_from = time.monotonic() + FORGET_KEYS_SECONDS
        connection.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < epoch_now() - KEY_LIFETIME))


@contextmanager
def one_use_of(keys: Iterable[str]) -> Iterator[None]:
    """Run a transaction that records ``keys``.

    :raises DomainError: ``idempotency-key-in-use``, another transaction has recorded one of them first.
    """
    try:
        yield
    except IntegrityError as error:
        named = "', '".join(keys)
        detail = f"Another request uses the Idempotency-Key '{named}' at this moment; try again."
        raise DomainError("idempotency-key-in-use", detail) from error


def _file_of(connection: Connection, used: Row[str, str, int | None], fingerprint: str) -> File | DomainError:
    if used.file_id is None:
        return DomainError("idempotency-key-revoked", "This Idempotency-Key was revoked; take a new key.")
    if used.fingerprint != fingerprint:
        return DomainError(
            "idempotency-key-reused", "This Idempotency-Key was used for another upload; take a new key."
        )
    files = files_of(connection.execute(FILE, {"id": used.file_id}))
    if not files:
        # Deleted since the key was read; the key went with it.
        return DomainError("idempotency-key-in-use", "The file of this Idempotency-Key was just deleted; try again.")
    return files[0]
