"""Idempotency keys of batches: requests with the same key create one batch."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.old_rows import delete_older_than
from service_kit.texts import sentence
from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from image_processor.models import BatchKey

KEY_LIFETIME = 24 * 3600
"""Seconds until an idempotency key expires."""


class KeyUse(NamedTuple):
    """An owner's key, and the fingerprint of the request that uses it."""

    owner: str
    key: str
    fingerprint: str


class CreatedBatch(NamedTuple):
    """The id of a new batch, and the ids of its tasks in the order of the files."""

    batch_id: int
    task_ids: Sequence[int]


def fingerprint_of(request: Mapping[str, object]) -> str:
    """Return a hash of everything that a request asks for."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def created_earlier(connection: Connection, use: KeyUse | None) -> CreatedBatch | None:
    """Return the batch that an earlier request with this key created, if any; its tasks may be deleted since.

    :raises DomainError: ``idempotency-key-reused`` if that request was different.
    """
    if use is None:
        return None
    used = connection.execute(_FIND, {"owner": use.owner, "key": use.key}).first()
    if used is None:
        return None
    if used.fingerprint != use.fingerprint:
        detail = sentence("This Idempotency-Key was used for another batch; use a new key.")
        raise DomainError("idempotency-key-reused", detail)
    return CreatedBatch(used.batch_id, [task_id for first, last in used.task_ids for task_id in range(first, last + 1)])


def record(connection: Connection, use: KeyUse | None, created: CreatedBatch) -> None:
    """Record the batch that a request has created."""
    if use is not None:
        values = {**use._asdict(), "batch_id": created.batch_id, "task_ids": ranges_of(created.task_ids)}
        connection.execute(insert(BatchKey).values(values))


@contextmanager
def conflict_as_in_use(use: KeyUse | None) -> Iterator[None]:
    """Wrap a transaction that records a key.

    :raises DomainError: ``idempotency-key-in-use`` if another transaction recorded it first.
    """
    try:
        yield
    except IntegrityError as error:
        if use is None:
            raise
        detail = sentence("Another request is using the Idempotency-Key '{key}'; try again.", key=use.key)
        raise DomainError("idempotency-key-in-use", detail, context={"keys": [use.key]}) from error


def forget_expired(database: Database) -> int:
    """Delete expired keys in steps; return their number."""
    return delete_older_than(database, BatchKey, BatchKey.created_at, KEY_LIFETIME)


def ranges_of(ids: Sequence[int]) -> list[list[int]]:
    """Return ascending numbers as ranges ``[first, last]``."""
    ranges: list[list[int]] = []
    for number in ids:
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges


_FIND = select(BatchKey.fingerprint, BatchKey.batch_id, BatchKey.task_ids).where(
    BatchKey.owner == bindparam("owner"), BatchKey.key == bindparam("key")
)
