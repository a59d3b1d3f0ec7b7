"""Statements on the table of files.

They bypass the ORM, which takes longer to build an object than the database takes to find the row.
"""

from collections.abc import Sequence
from typing import NamedTuple

from service_kit.access.principals import Principal
from service_kit.database import MAX_ID, FrequentQuery, each_of, epoch_now
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    CursorResult,
    Double,
    String,
    bindparam,
    cast,
    func,
    insert,
    select,
)
from sqlalchemy.orm import defer

from file_storage.models import File

NOT_EXPIRED = File.expires_at.is_(None) | (File.expires_at > epoch_now())
PRESENT = File.deleted_at.is_(None) & NOT_EXPIRED
"""The file is neither in the trash nor expired. All queries require this except those of the trash, gc and fsck."""
GIVEN_IDS = select(cast(cast(each_of("ids"), String), BigInteger))
"""The ids in the parameter ``ids``."""
HAS_ID = File.id.in_(GIVEN_IDS)
_COLUMNS = [column for column in File.__table__.columns if column.name != "search_comment"]
"""All that is shown of a file. The comment for search would double the memory of a row, and only conditions use it."""
WITHOUT_SEARCH = [defer(File.search_comment, raiseload=True)]
"""Options of a query of the ORM for these columns."""
FILE = select(*_COLUMNS).where(File.id == bindparam("id"), PRESENT)
_FILES = select(*_COLUMNS).where(HAS_ID, PRESENT).order_by(File.id)
_SENT_FILES = select(*(column for column in _COLUMNS if column.name != "comment")).where(HAS_ID, PRESENT)
_OWNED = File.owner == bindparam("owner")
_OWNED_FILE, _OWNED_FILES = FILE.where(_OWNED), _FILES.where(_OWNED)
_SENT_OWNED_FILES = _SENT_FILES.where(_OWNED)
_WITH_DIGESTS = File.sha256.in_(bindparam("digests", expanding=True))
_FIRST = select(func.min(File.id)).where(_WITH_DIGESTS, PRESENT).group_by(File.sha256)
_FIRST_OWNED = _FIRST.where(_OWNED)
INSERT_FILES = (
    insert(File)
    .values(expires_at=epoch_now() + bindparam("expires_in", type_=Double))
    .returning(*File.__table__.columns, sort_by_parameter_order=True)
)


class SentFile(NamedTuple):
    """The properties of a file that a usual download needs."""

    name: str
    extension: str
    size: int
    sha256: str
    media_type: str
    created_at: float


SENT_COLUMNS = [File.__table__.columns[name] for name in SentFile._fields]
_SENT = select(*SENT_COLUMNS).where(File.id == bindparam("id"), PRESENT)
SENT_FILE, SENT_OWNED_FILE = FrequentQuery(_SENT), FrequentQuery(_SENT.where(_OWNED))


def find_file(connection: Connection, principal: Principal, file_id: int) -> File | None:
    """Return the file with this id if the principal may see it."""
    if not 0 < file_id <= MAX_ID:
        return None
    if principal.sees_all:
        found = files_of(connection.execute(FILE, {"id": file_id}))
    else:
        found = files_of(connection.execute(_OWNED_FILE, {"id": file_id, "owner": principal.owner}))
    return found[0] if found else None


def find_files(connection: Connection, principal: Principal, ids: Sequence[int]) -> Sequence[File]:
    """Return the files with one of these ids that the principal may see, in ascending order."""
    if principal.sees_all:
        return files_of(connection.execute(_FILES, {"ids": list(ids)}))
    return files_of(connection.execute(_OWNED_FILES, {"ids": list(ids), "owner": principal.owner}))


def find_files_to_send(connection: Connection, principal: Principal, ids: Sequence[int]) -> Sequence[File]:
    """Return the files of :func:`find_files`, in any order and without comments: an archive holds them for long."""
    if principal.sees_all:
        return files_of(connection.execute(_SENT_FILES, {"ids": list(ids)}))
    return files_of(connection.execute(_SENT_OWNED_FILES, {"ids": list(ids), "owner": principal.owner}))


def find_first_ids(connection: Connection, principal: Principal, digests: Sequence[str]) -> Sequence[int]:
    """Return, for each SHA-256, the id of the first file that the principal may see, in any order."""
    if principal.sees_all:
        return connection.scalars(_FIRST, {"digests": list(digests)}).all()
    return connection.scalars(_FIRST_OWNED, {"digests": list(digests), "owner": principal.owner}).all()


def lock_files(connection: Connection, ids: Sequence[int], *conditions: ColumnElement[bool]) -> Sequence[int]:
    """Lock those of the files that meet the conditions until the transaction ends; return their ids.

    They are locked in the order of their ids, so that two requests never deadlock.
    """
    locked = select(File.id).where(HAS_ID, *conditions).order_by(File.id).with_for_update()
    return connection.scalars(locked, {"ids": list(ids)}).all()


def files_of(rows: CursorResult[*tuple[object, ...]]) -> Sequence[File]:
    """Return the files of a result with the columns of the table."""
    return [File(**row) for row in rows.mappings()]
