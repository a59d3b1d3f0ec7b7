"""Promises room to large uploads before their bytes come, so that the same free bytes are promised only once.

Each promise is a row of :class:`Upload`, like a resumable upload: triggers add its bytes to the totals that quotas use.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from service_kit.access.principals import Principal
from service_kit.database import Database, epoch_now, one_at_a_time
from sqlalchemy import Connection, delete, select

from file_storage.models import Upload
from file_storage.models.file import WHOLE
from file_storage.services.quota import Addition, Quota
from file_storage.storage import Staging, StorageFullError
from file_storage.storage.partial import PartialFiles

MIN_BYTES = 10_000_000
"""Minimum size of a body that is promised room: statements slow down smaller ones. nginx asks from this size."""

ARRIVING_BYTES = 11_000_000
"""Minimum size of a body on the disk that counts as part of a promise; one without a length may have 10 MiB."""

SLOWEST_BYTES_PER_SECOND = 250_000
MIN_SECONDS = 300.0
"""A promise that nobody gives back, because a process was killed, ends after ``MIN_SECONDS`` and the time that its
bytes take at this rate. A slower upload goes on without a promise."""

SILENT_SECONDS = 600.0
"""A resumable upload that has received nothing for this long holds no room on the disk, but still counts for quotas."""

EXPIRE_SECONDS = 60.0
"""Minimum seconds between removals of expired promises by uploads."""

_LOCK = 509
"""Number of the lock in :class:`one_at_a_time` for the free space; it is taken after those of quotas."""


class Promises:
    """The free space, of which uploads in flight have been promised a part."""

    def __init__(self, database: Database, partials: PartialFiles, staging: Staging, quota: Quota) -> None:
        self._database = database
        self._partials = partials
        self._staging = staging
        self._quota = quota
        self._next_expiry = 0.0

    def make(self, principal: Principal, promise_id: str, size: int) -> None:
        """Promise room for ``size`` bytes, until the upload with this id ends.

        :raises DomainError: ``quota-exceeded``.
        :raises StorageFullError: the disk has no room besides what others were promised.
        """
        with self._database.write() as session:
            session.add(
                Upload(
                    id=promise_id,
                    owner=principal.owner,
                    reserved=size,
                    length=size,
                    metadata_header="",
                    concat_header=WHOLE,
                    name="",
                    extension="",
                    comment="",
                    expires_at=epoch_now() + MIN_SECONDS + size / SLOWEST_BYTES_PER_SECOND,
                    finished=False,
                )
            )
            session.flush()
            self._quota.check_added(session.connection(), principal, Addition(size, size, 0))
            self.check_disk(session.connection(), size)

    def give_back(self, promise_id: str) -> None:
        """End a promise; ignore one that has ended."""
        with self._database.write() as session:
            session.execute(delete(Upload).where(Upload.id == promise_id, Upload.concat_header == WHOLE))

    @contextmanager
    def made(self, principal: Principal, size: int) -> Iterator[str]:
        """Promise room during the block; return the promise's id.

        :raises DomainError: as in :meth:`make`.
        """
        promise_id = secrets.token_hex(16)
        self.make(principal, promise_id, size)
        with self.given_back(promise_id):
            yield promise_id

    @contextmanager
    def given_back(self, promise_id: str) -> Iterator[None]:
        """End a promise when the block ends."""
        try:
            yield
        finally:
            self.give_back(promise_id)

    def check_disk(self, connection: Connection, more: int) -> None:
        """Check within the transaction that has reserved ``more`` bytes.

        :raises StorageFullError: the disk has no room for them besides what others were promised.
        """
        if more < MIN_BYTES:
            self._staging.check_room(more)
            return
        connection.execute(select(one_at_a_time(_LOCK)))
        if self._outstanding(connection) > self._staging.room():
            raise StorageFullError

    def expire_periodically(self) -> None:
        """Remove expired promises, so that they do not fill a quota."""
        if time.monotonic() < self._next_expiry:
            return
        self._next_expiry = time.monotonic() + EXPIRE_SECONDS
        with self._database.write() as session:
            session.execute(_DELETE_EXPIRED)

    def _outstanding(self, connection: Connection) -> int:
        """Return how many bytes were promised and have not come yet."""
        bodies = resumable = 0
        for upload_id, reserved, concat in connection.execute(_RESERVED):
            if concat == WHOLE:
                bodies += reserved
            else:
                resumable += max(0, reserved - self._partials.held(upload_id, SILENT_SECONDS, reserved))
        return max(0, bodies - self._staging.arriving(ARRIVING_BYTES)) + resumable


_DELETE_EXPIRED = delete(Upload).where(Upload.expires_at < epoch_now(), Upload.concat_header == WHOLE)
_RESERVED = select(Upload.id, Upload.reserved, Upload.concat_header).where(
    Upload.reserved > 0, Upload.expires_at >= epoch_now()
)
