"""Stores blobs in an S3 bucket: ``<prefix>/ab/cd/<random>/<sha256>``.

S3 has no transactions, and a request that was sent may arrive late. So each object is written at most once, under a
name of its own; its row (:class:`StoredObject`), which changes together with the rows of blobs, says what the object is
for. A late request can then only delete an object that nobody uses, or write one that the next sweep removes. This is
why this module alone of ``storage`` uses ``models``, which use no storage.

docs/decisions/0013-objects-in-s3.md describes each request. Blobs from before these rows have the name
``<prefix>/ab/cd/<sha256>``, and no row.
"""

import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import BufferedReader, RawIOBase

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import S3Store
from service_kit.database import Database, dialect_of, epoch_now, insert_or_ignore
from sqlalchemy import Connection, Double, bindparam, delete, exists, insert, literal_column, or_, select, update

from file_storage.models import Blob, ObjectState, StoredObject
from file_storage.storage.blob_store import OutdatedError, Prepared, StorageUnavailableError, blob_path
from file_storage.storage.staging import StagedBlob

log = structlog.get_logger()

PART_BYTES = 8 * 1024 * 1024
MAX_PARALLEL_PARTS = 4
SIGNED_URL_LIFETIME = timedelta(hours=1)
"""Time within which a download must begin."""
RETRY_TIMEOUT = timedelta(seconds=15)
"""Maximum time that retries occupy a thread; after it, the client gets a 503."""
PING_SECONDS = 3
DAMAGED = "damaged/"
PAGE_SIZE = 1000
"""Number of objects per query."""

_NAME = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/([0-9a-f]{32}/)?(?P<sha256>\1\2[0-9a-f]{60})")
"""Other objects of the bucket are not ours."""

_OF_NAMES = StoredObject.name.in_(bindparam("names", expanding=True))
_OF_DIGESTS = StoredObject.sha256.in_(bindparam("digests", expanding=True))
# Literals, so that the databases recognize the conditions of the partial indexes.
_IS_USED = StoredObject.state == literal_column("'used'")
_IS_LOOSE = StoredObject.state != literal_column("'used'")
# "Not distinct", because "equal" would allow PostgreSQL to read the whole partial index of loose objects instead of
# looking up a name.
_IS_PENDING = StoredObject.state.is_not_distinct_from(ObjectState.PENDING)
_IS_LEFT = or_(
    StoredObject.state.is_not_distinct_from(ObjectState.UNUSED),
    StoredObject.state.is_not_distinct_from(ObjectState.DAMAGED),
)
_USED = select(StoredObject.sha256, StoredObject.name).where(_OF_DIGESTS, _IS_USED)
_USE = update(StoredObject).where(_OF_NAMES, _IS_PENDING).values(state=ObjectState.USED).returning(StoredObject.name)
_LEAVE = update(StoredObject).where(_OF_NAMES, _IS_PENDING).values(state=ObjectState.UNUSED)
_RETRACT = (
    update(StoredObject)
    .where(_OF_DIGESTS, _IS_USED)
    .values(state=bindparam("new_state"))
    .returning(StoredObject.sha256, StoredObject.name)
)
_LOSE = update(StoredObject).where(_OF_NAMES, _IS_USED).values(state=ObjectState.UNUSED)
_EXPIRE = (
    update(StoredObject)
    .where(_IS_LOOSE, _IS_PENDING, StoredObject.created_at <= epoch_now() - bindparam("seconds", type_=Double))
    .values(state=ObjectState.UNUSED)
)
# An earlier build, if it still runs, removes a blob without its row here.
_LEAVE_WITHOUT_BLOB = (
    update(StoredObject)
    .where(_IS_USED, ~exists().where(Blob.sha256 == StoredObject.sha256))
    .values(state=ObjectState.UNUSED)
)
_LEFT = select(StoredObject.name).where(_IS_LOOSE, _IS_LEFT)
_STATES = select(StoredObject.name, StoredObject.state).where(_OF_NAMES)
_FORGET = delete(StoredObject).where(_OF_NAMES, _IS_LEFT)
_WITHOUT_ROW = select(Blob.sha256).where(
    Blob.sha256.in_(bindparam("digests", expanding=True)),
    ~exists().where(StoredObject.sha256 == Blob.sha256, _IS_USED),
)


class S3BlobStore:
    """Implements :class:`file_storage.storage.BlobStore` on S3.

    :param url: ``s3://bucket/prefix``; credentials, region and endpoint come from the AWS tools' environment variables
        (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``).
    """

    def __init__(self, url: str, database: Database) -> None:
        self._database = database
        self._store = S3Store.from_url(
            url, client_options={"allow_http": True}, retry_config={"retry_timeout": RETRY_TIMEOUT}
        )
        self._pinged = S3Store.from_url(
            url,
            client_options={"allow_http": True, "timeout": timedelta(seconds=PING_SECONDS)},
            retry_config={"max_retries": 0},
        )

    def prepare(self, staged: StagedBlob) -> Prepared:
        with self._database.connect() as connection:
            used = _used(connection, [staged.sha256]).get(staged.sha256)
        if used is not None and self._has(used):
            return Prepared(staged, used)
        name = _new_name(staged.sha256)
        with self._database.begin() as connection:
            row = {"name": name, "sha256": staged.sha256, "state": ObjectState.PENDING}
            connection.execute(insert(StoredObject), row)
        # S3 makes a multipart upload visible as a whole, after its last part.
        with _available():
            obstore.put(self._store, name, staged.path, chunk_size=PART_BYTES, max_concurrency=MAX_PARALLEL_PARTS)
        return Prepared(staged, name, lost=used)

    def publish(self, connection: Connection, prepared: Sequence[Prepared]) -> Sequence[str]:
        if not prepared:
            return []
        lost = [body.lost for body in prepared if body.lost is not None]
        if lost:
            connection.execute(_LOSE, {"names": lost})
        # An object that is used now was either found by prepare or written since.
        used = _used(connection, {body.staged.sha256 for body in prepared})
        needed = {body.staged.sha256: body.name for body in prepared if body.staged.sha256 not in used}
        if needed:
            taken = connection.scalars(_USE, {"names": list(needed.values())}).all()
            if len(taken) < len(needed):
                raise OutdatedError("an object was removed before its file was stored")
        spare = {body.name for body in prepared} - set(needed.values()) - set(used.values())
        if spare:
            connection.execute(_LEAVE, {"names": list(spare)})
        return [*spare, *lost]

    def location(self, sha256: str, size: int) -> str:  # noqa: ARG002 (the size is not checked: that would take a request)
        return obstore.sign(self._store, "GET", self._name(sha256), SIGNED_URL_LIFETIME)

    def open(self, sha256: str) -> BufferedReader:
        return BufferedReader(_Reader(self._store, self._name(sha256)), PART_BYTES)

    def version(self, connection: Connection, sha256: str) -> str:
        return _used(connection, [sha256]).get(sha256, blob_path(sha256))

    def retract(self, connection: Connection, digests: Sequence[str]) -> Sequence[str]:
        return _take_out_of_use(connection, digests, ObjectState.UNUSED)

    def set_aside(self, connection: Connection, sha256: str) -> Sequence[str]:
        return _take_out_of_use(connection, [sha256], ObjectState.DAMAGED)

    def finish(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), PAGE_SIZE):
            page = names[start : start + PAGE_SIZE]
            with self._database.connect() as connection:
                states = dict(connection.execute(_STATES, {"names": page}).all())
            done = [name for name, state in states.items() if state is ObjectState.UNUSED]
            self._delete(done)
            # After the deletions: an object that cannot be moved must not keep others from being removed.
            done += [name for name, state in states.items() if state is ObjectState.DAMAGED and self._is_moved(name)]
            if done:
                with self._database.begin() as connection:
                    connection.execute(_FORGET, {"names": done})

    def perhaps_unused(self, older_than_seconds: float) -> Iterator[str]:  # noqa: ARG002 (a row without files has no upload)
        """Yield the blobs whose rows count no file; :meth:`sweep` finds objects that have no blob."""
        with self._database.connect() as connection:
            digests = connection.scalars(select(Blob.sha256).where(Blob.file_count == 0)).all()
        yield from digests

    def sweep(self, older_than_seconds: float) -> int:
        with self._database.begin() as connection:
            connection.execute(_EXPIRE, {"seconds": older_than_seconds})
            connection.execute(_LEAVE_WITHOUT_BLOB)
        with self._database.connect() as connection:
            left = connection.scalars(_LEFT).all()
        self.finish(left)
        latest = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        swept = len(left)
        with _available():
            for objects in obstore.list(self._store, chunk_size=PAGE_SIZE):
                unknown = self._unknown([found["path"] for found in objects if found["last_modified"] <= latest])
                self._delete(unknown)
                swept += len(unknown)
        return swept

    def ping(self) -> None:
        with _available():
            obstore.list_with_delimiter(self._pinged)

    def _name(self, sha256: str) -> str:
        with self._database.connect() as connection:
            return self.version(connection, sha256)

    def _has(self, name: str) -> bool:
        try:
            with _available():
                obstore.head(self._store, name)
        except FileNotFoundError:
            return False
        return True

    def _is_moved(self, name: str) -> bool:
        """Move a damaged object to where it can be examined; return whether that was possible."""
        try:
            with _available(), suppress(FileNotFoundError):
                obstore.rename(self._store, name, f"{DAMAGED}{name.rsplit('/', 1)[-1]}")
        except StorageUnavailableError as error:
            log.warning("damaged object not moved", name=name, reason=str(error))
            return False
        return True

    def _delete(self, names: Sequence[str]) -> None:
        if names:
            with _available(), suppress(FileNotFoundError):
                obstore.delete(self._store, names)

    def _unknown(self, paths: Sequence[str]) -> Sequence[str]:
        """Return the objects that no blob has and none will have.

        A name is never used again after its row is deleted. An object without a random part is never used again after
        its blob has another object or is removed. So these objects stay unused.
        """
        digests = {path: match["sha256"] for path in paths if (match := _NAME.fullmatch(path))}
        if not digests:
            return []
        with self._database.connect() as connection:
            known = {name for name, _ in connection.execute(_STATES, {"names": list(digests)})}
            without_row = set(connection.scalars(_WITHOUT_ROW, {"digests": list(set(digests.values()))}))
        return [
            path
            for path, sha256 in digests.items()
            if path not in known and not (sha256 in without_row and path == blob_path(sha256))
        ]


def _new_name(sha256: str) -> str:
    folder, _, name = blob_path(sha256).rpartition("/")
    return f"{folder}/{secrets.token_hex(16)}/{name}"


def _used(connection: Connection, digests: Collection[str]) -> dict[str, str]:
    """Return the names of the used objects by SHA-256."""
    return dict(connection.execute(_USED, {"digests": list(digests)}).all())


def _take_out_of_use(connection: Connection, digests: Sequence[str], state: ObjectState) -> Sequence[str]:
    rows = connection.execute(_RETRACT, {"digests": list(digests), "new_state": state}).all()
    names = dict(rows)
    without_row = [sha256 for sha256 in digests if sha256 not in names]
    if without_row:
        earlier = [{"name": blob_path(sha256), "sha256": sha256, "state": state} for sha256 in without_row]
        connection.execute(insert_or_ignore(dialect_of(connection), StoredObject), earlier)
    return [*names.values(), *map(blob_path, without_row)]


@contextmanager
def _available() -> Iterator[None]:
    """Raise :class:`StorageUnavailableError` for any error of S3 or the network, such as wrong credentials.

    Keep only the error's first line; the other lines are the client library's own error chain.
    """
    try:
        yield
    except BaseError as error:
        raise StorageUnavailableError(str(error).partition("\n")[0]) from error


class _Reader(RawIOBase):
    """Reads an object in chunks, each with a range request."""

    def __init__(self, store: S3Store, path: str) -> None:
        with _available():
            self._file = obstore.open_reader(store, path, buffer_size=PART_BYTES)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # BufferedReader passes a memoryview
        with _available():
            data = bytes(self._file.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)
