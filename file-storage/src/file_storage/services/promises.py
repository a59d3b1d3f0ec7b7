"""Promises room to large uploads before their bytes arrive, so that the same free bytes are promised only once.

Each promise is a row of :class:`Upload`, like a resumable upload: triggers add its bytes to the totals that quotas use.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import NamedTuple

import structlog
from service_kit.access.principals import Principal
from service_kit.database import Database, epoch_now, one_at_a_time
from sqlalchemy import Connection, Select, delete, func, literal_column, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from file_storage.models import Upload, UploadKind
from file_storage.services.quota import Addition, Quota
from file_storage.storage import BodyFile, Staging, StorageFullError
from file_storage.storage.partial import PartialFiles

log = structlog.get_logger()

MIN_BYTES = 10_000_000
"""Minimum size of a body that is promised room: statements slow down smaller ones. nginx asks from this size."""

ARRIVING_BYTES = 11_000_000
"""Minimum size of a body on the disk that counts as part of a promise. A body without a length may have 10 MiB, and
gets no promise before it has arrived."""

BEGIN_SECONDS = 90.0
"""A body must begin within this time after its promise; nginx waits a minute for its first byte.

A promise is not linked to a body. Of the promises older than this, keep one for each body that is being written.
"""

BEGUN_BYTES = 1_000_000
"""Minimum size of a body that keeps a promise alive after ``BEGIN_SECONDS``: a small upload needs none."""

SLOWEST_BYTES_PER_SECOND = 100_000
MIN_SECONDS = 300.0
"""A promise ends after ``MIN_SECONDS`` and the time that its bytes take at this rate, even if its body is being
written. A slower upload continues without a promise: its room is checked again when it has arrived. Until then its
bytes count against other promises, so this rate is below that of usual clients."""

SILENT_SECONDS = 600.0
"""A resumable upload that has received nothing for this long holds no room on the disk, but still counts for quotas."""

_LOCK = 509
"""Number of the lock in :class:`one_at_a_time` for the free space; it is taken after those of quotas."""


class Promises:
    """Promises of free space to uploads whose bytes have not all arrived."""

    def __init__(self, database: Database, partials: PartialFiles, staging: Staging, quota: Quota) -> None:
        self._database = database
        self._partials = partials
        self._staging = staging
        self._quota = quota

    def make(self, principal: Principal, promise_id: str, size: int, copies: int = 1) -> None:
        """Promise room for ``size`` bytes, until the upload with this id ends.

        :param copies: how many times the disk has these bytes for a while; they count once towards quotas.
        :raises DomainError: ``quota-exceeded``.
        :raises StorageFullError: the disk has no room beyond what others were promised.
        """
        with self._database.write() as session:
            _insert(session, principal, promise_id, size, size * copies)
            self._quota.check_added(session.connection(), principal, Addition(size, size, 0))
            self.check_disk(session.connection(), size)

    def make_on_disk(self, principal: Principal, promise_id: str, size: int, copies: int = 1) -> None:
        """Promise room on the disk as :meth:`make` does, to an upload that may be a retry.

        Quotas are checked when the bytes are stored: a retry, whose file exists, exceeds none.

        :raises StorageFullError: as in :meth:`make`.
        """
        with self._database.write() as session:
            _insert(session, principal, promise_id, size, size * copies)
            self.check_disk(session.connection(), size)

    def holds(self, promise_id: str) -> bool:
        """Return whether this promise was made and has not ended."""
        with self._database.connect() as connection:
            return connection.scalar(_promise(promise_id).where(Upload.expires_at >= epoch_now())) is not None

    def give_back(self, promise_id: str) -> None:
        """End a promise; ignore one that has ended."""
        # The server in front reports the end of each large request: usually there is nothing to write any more.
        with self._database.connect() as connection:
            if connection.scalar(_promise(promise_id)) is None:
                return
        with self._database.write() as session:
            session.execute(delete(Upload).where(Upload.id == promise_id, Upload.kind == UploadKind.PROMISE))

    @contextmanager
    def promised(self, principal: Principal, size: int, copies: int = 1) -> Iterator[str]:
        """Promise room during the block; return the promise's id.

        :param copies: as in :meth:`make`.
        :raises DomainError: as in :meth:`make`.
        """
        promise_id = secrets.token_hex(16)
        self.make(principal, promise_id, size, copies)
        with self.given_back(promise_id):
            yield promise_id

    @contextmanager
    def promised_on_disk(self, principal: Principal, size: int, copies: int = 1) -> Iterator[str]:
        """Promise room on the disk during the block; return the promise's id.

        :param copies: as in :meth:`make`.
        :raises StorageFullError: as in :meth:`make`.
        """
        promise_id = secrets.token_hex(16)
        self.make_on_disk(principal, promise_id, size, copies)
        with self.given_back(promise_id):
            yield promise_id

    @contextmanager
    def given_back(self, promise_id: str) -> Iterator[None]:
        """End a promise when the block ends; if the database does not answer then, leave the promise to its expiry."""
        try:
            yield
        finally:
            try:
                self.give_back(promise_id)
            except SQLAlchemyError as error:
                # The upload itself has succeeded, or has an error of its own to report.
                log.warning("promise not given back", promise=promise_id, reason=str(error))

    def check_disk(self, connection: Connection, more: int) -> None:
        """Check within the transaction that has reserved ``more`` bytes.

        :raises StorageFullError: the disk has no room for them beyond what others were promised.
        """
        if more < MIN_BYTES:
            self._staging.check_room(more)
            return
        connection.execute(select(one_at_a_time(_LOCK)))
        if self._outstanding(connection) > self._staging.room():
            raise StorageFullError

    def expire(self) -> int:
        """Remove expired promises, and those whose body has not begun; return their number."""
        with self._database.begin() as connection:
            expired = connection.execute(_DELETE_EXPIRED).rowcount
            promises = [_Promise(*row) for row in connection.execute(_PROMISES)]
            alive = _alive(promises, self._staging.bodies())
            lost = {promise.id for promise in promises} - {promise.id for promise in alive}
            if lost:
                connection.execute(delete(Upload).where(Upload.id.in_(lost)))
        return expired + len(lost)

    def _outstanding(self, connection: Connection) -> int:
        """Return how many bytes were promised and have not arrived yet."""
        resumable = sum(
            max(0, reserved - self._partials.held(upload_id, SILENT_SECONDS, reserved))
            for upload_id, reserved in connection.execute(_RESUMABLE)
        )
        bodies = self._staging.bodies()
        alive = _alive([_Promise(*row) for row in connection.execute(_PROMISES)], bodies)
        first = sum(promise.size for promise in alive)
        copies = sum(promise.on_disk - promise.size for promise in alive)
        arrived = sum(body.size for body in bodies if body.is_arriving and body.size >= ARRIVING_BYTES)
        copied = self._staging.copied(ARRIVING_BYTES) if copies else 0
        return max(0, first - arrived) + max(0, copies - copied) + resumable


class _Promise(NamedTuple):
    """A promise that has not expired.

    :param on_disk: bytes on the disk, with all copies.
    :param left: seconds until it expires.
    """

    id: str
    size: int
    on_disk: int
    left: float

    @property
    def must_have_begun(self) -> bool:
        return _lifetime(self.size) - self.left > BEGIN_SECONDS


def _alive(promises: Sequence[_Promise], bodies: Sequence[BodyFile]) -> Sequence[_Promise]:
    """Return the promises that may still be needed.

    :param bodies: those that are being written. Assume that they belong to the largest promises, so that no byte is
        promised twice.
    """
    most = sum(body.size >= BEGUN_BYTES for body in bodies)
    starting = [promise for promise in promises if not promise.must_have_begun]
    begun = [promise for promise in promises if promise.must_have_begun]
    return [*starting, *sorted(begun, key=attrgetter("on_disk"), reverse=True)[:most]]


def _lifetime(size: int) -> float:
    return MIN_SECONDS + size / SLOWEST_BYTES_PER_SECOND


def _insert(session: Session, principal: Principal, promise_id: str, size: int, on_disk: int) -> None:
    session.add(
        Upload(
            id=promise_id,
            owner=principal.owner,
            reserved=size,
            length=on_disk,
            metadata_header="",
            kind=UploadKind.PROMISE,
            name="",
            extension="",
            comment="",
            expires_at=epoch_now() + _lifetime(size),
            finished=False,
        )
    )
    session.flush()


def _promise(promise_id: str) -> Select[str]:
    return select(Upload.id).where(Upload.id == promise_id, Upload.kind == UploadKind.PROMISE)


_DELETE_EXPIRED = delete(Upload).where(Upload.expires_at < epoch_now(), Upload.kind == UploadKind.PROMISE)
# A literal, so that the databases recognize the condition of the partial index.
_UNEXPIRED = (Upload.reserved > literal_column("0"), Upload.expires_at >= epoch_now())
_PROMISES = select(
    Upload.id, Upload.reserved, func.coalesce(Upload.length, Upload.reserved), Upload.expires_at - epoch_now()
).where(*_UNEXPIRED, Upload.kind == UploadKind.PROMISE)
_RESUMABLE = select(Upload.id, Upload.reserved).where(*_UNEXPIRED, Upload.kind != UploadKind.PROMISE)
