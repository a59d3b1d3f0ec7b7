"""Idempotency keys of uploads and copies: the same key makes one file, and a revoked key makes none."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from service_kit.access.principals import Principal
from service_kit.database import Database, epoch_now
from service_kit.errors import DomainError, FieldError
from service_kit.old_rows import delete_older_than
from service_kit.texts import sentence
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from file_storage.models import File, IdempotencyKey
from file_storage.services.file_rows import FILE, PRESENT, files_of

KEY_LIFETIME = 24 * 3600
"""Seconds until an idempotency key expires."""

_INSERT_KEYS = insert(IdempotencyKey)
_USED_KEYS = select(IdempotencyKey.key, IdempotencyKey.fingerprint, IdempotencyKey.file_id).where(
    IdempotencyKey.owner == bindparam("owner"), IdempotencyKey.key.in_(bindparam("keys", expanding=True))
)

# SQLAlchemy does not allow an UPDATE to have parameters with the names of columns.
_THIS = (IdempotencyKey.owner == bindparam("of_owner"), IdempotencyKey.key == bindparam("this_key"))
_FILE_ID = select(IdempotencyKey.file_id).where(*_THIS)
_REVOKE = update(IdempotencyKey).where(*_THIS).values(file_id=None)

_EXPIRED = IdempotencyKey.created_at < epoch_now() - KEY_LIFETIME
_OF_EXPIRED = select(File.id).where(File.id == IdempotencyKey.file_id, File.expires_at <= epoch_now())
_FORGET_EXPIRED = (
    delete(IdempotencyKey)
    .where(
        IdempotencyKey.owner == bindparam("owner"),
        IdempotencyKey.key.in_(bindparam("keys", expanding=True)),
        _EXPIRED | _OF_EXPIRED.correlate(IdempotencyKey).exists(),
    )
    .returning(IdempotencyKey.key)
)
"""Deletes expired keys and those of expired files, so that a repeated upload need not wait for housekeeping."""


class KeyUse(NamedTuple):
    """A key, and the fingerprint of what the client sent with it."""

    key: str
    fingerprint: str


class IdempotencyKeys:
    """The idempotency keys in the database; each owner has a namespace of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def answers(self, principal: Principal, uses: Sequence[KeyUse]) -> Mapping[str, File | DomainError]:
        """Return the same as :meth:`made_earlier`, for a check before the request is processed."""
        if not uses:
            return {}
        with self._database.begin() as connection:
            return self.made_earlier(connection, principal.owner, uses)

    def used(self, principal: Principal, keys: Iterable[str]) -> Collection[str]:
        """Return those of the keys that this owner has used, so that requests with them create no file."""
        return self.answers(principal, [KeyUse(key, "") for key in keys]).keys()

    def answer(self, principal: Principal, use: KeyUse | None) -> File | None:
        """Return the file that this use of a key made earlier, if any.

        :raises DomainError: the error that forbids this use.
        """
        for earlier in self.answers(principal, [] if use is None else [use]).values():
            if isinstance(earlier, DomainError):
                raise earlier
            return earlier
        return None

    def made_earlier(
        self, connection: Connection, owner: str, uses: Sequence[KeyUse]
    ) -> Mapping[str, File | DomainError]:
        """Return, for each key that this owner has used before, its file or the error that forbids this use."""
        rows = connection.execute(_USED_KEYS, {"owner": owner, "keys": [use.key for use in uses]})
        used = {row.key: row for row in rows}
        if used:
            for key in connection.scalars(_FORGET_EXPIRED, {"owner": owner, "keys": list(used)}).all():
                del used[key]
        return {use.key: _file_of(connection, used[use.key], use.fingerprint) for use in uses if use.key in used}

    def record(self, connection: Connection, owner: str, made: Mapping[KeyUse, int]) -> None:
        """Record the id of the file created by each use of a key."""
        if made:
            rows = [{"owner": owner, **use._asdict(), "file_id": made[use]} for use in sorted(made)]
            connection.execute(_INSERT_KEYS, rows)

    def file(self, principal: Principal, key: str) -> File:
        """Return the file created by this owner's upload with this key.

        :raises DomainError: ``file-not-found`` if the key was not used, was revoked or has expired.
        """
        of_owner = (IdempotencyKey.owner == principal.owner, IdempotencyKey.key == key)
        used = select(IdempotencyKey.file_id).where(*of_owner).scalar_subquery()
        with self._database.read() as session:
            file = session.scalar(select(File).where(File.id == used, PRESENT))
        if file is None:
            detail = sentence("No file was created with the Idempotency-Key '{key}'.", key=key)
            errors = [FieldError(pointer="/key", detail=detail, code="idempotency_key_unused")]
            raise DomainError("file-not-found", detail, errors, context={"file_id": None})
        return file

    def file_id(self, principal: Principal, key: str) -> int | None:
        """Return the id of the file created with this key of the owner, if any."""
        with self._database.connect() as connection:
            return connection.scalar(_FILE_ID, {"of_owner": principal.owner, "this_key": key})

    def revoke(self, connection: Connection, owner: str, key: str, file_id: int | None) -> None:
        """Revoke a key within the transaction that removes the file created with it.

        :param file_id: as returned by :meth:`file_id`.
        :raises DomainError: ``idempotency-key-in-use`` if another file was created with the key since.
        :raises IntegrityError: see :func:`conflict_as_in_use`.
        """
        this = {"of_owner": owner, "this_key": key}
        found = connection.execute(_FILE_ID.with_for_update(), this).first()
        if found is None:
            connection.execute(_INSERT_KEYS, {"owner": owner, "key": key, "fingerprint": "", "file_id": None})
        elif found.file_id is not None:
            if found.file_id != file_id:
                raise _in_use([key])
            connection.execute(_REVOKE, this)

    def forget_expired(self) -> int:
        """Delete expired keys in steps; return their number.

        Until then, :meth:`made_earlier` deletes those that are used again.
        """
        return delete_older_than(self._database, IdempotencyKey, IdempotencyKey.created_at, KEY_LIFETIME)


@contextmanager
def conflict_as_in_use(keys: Iterable[str]) -> Iterator[None]:
    """Wrap a transaction that records ``keys``.

    :raises DomainError: ``idempotency-key-in-use`` if another transaction recorded one of them first.
    """
    try:
        yield
    except IntegrityError as error:
        raise _in_use(list(keys)) from error


def _in_use(keys: Sequence[str]) -> DomainError:
    listed = "', '".join(keys)
    detail = sentence("Another request is using the Idempotency-Key '{listed}'; try again.", listed=listed)
    return DomainError("idempotency-key-in-use", detail, context={"keys": keys})


def _file_of(connection: Connection, used: Row[str, str, int | None], fingerprint: str) -> File | DomainError:
    if used.file_id is None:
        return DomainError("idempotency-key-revoked", sentence("This Idempotency-Key was revoked; use a new key."))
    if used.fingerprint != fingerprint:
        detail = sentence("This Idempotency-Key was used for another upload; use a new key.")
        return DomainError("idempotency-key-reused", detail)
    files = files_of(connection.execute(FILE, {"id": used.file_id}))
    if not files:
        # The file, and its key with it, was deleted after the key was read.
        detail = sentence("The file of this Idempotency-Key was just deleted; try again.")
        return DomainError("idempotency-key-in-use", detail, context={"keys": [used.key]})
    return files[0]
