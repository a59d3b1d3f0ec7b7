"""How many bytes all files together may have."""

import time

from service_kit.database import Database, one_at_a_time
from service_kit.errors import DomainError
from sqlalchemy import BigInteger, Connection, cast, func, select

from file_storage.models import Blob

SUMMING = 0.01
"""The part of a process's time that it spends on sums at most. Until the next sum is due, it relies on the last one and
adds its own uploads."""

FAR = 0.9
SMALL = 0.001
"""No sum is needed for an upload that is smaller than ``SMALL`` and ends below ``FAR``, both as parts of the quota."""

_LOCK = 507
"""For :class:`one_at_a_time`; nothing else of Pixmill locks by a number."""

STORED_BYTES = cast(func.coalesce(func.sum(Blob.size).filter(Blob.file_count > 0), 0), BigInteger)
"""Of all blobs; a blob without a file is about to be removed."""


class Quota:
    """Refuses what would go over the quota.

    :param limit: in bytes; 0 for none.
    """

    def __init__(self, database: Database, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._used = 0
        self._trusted_until = 0.0

    def check(self, more: int) -> None:
        """Refuse early what cannot be stored; :meth:`check_added` decides exactly.

        :raises DomainError: ``quota-exceeded``, by ``more`` bytes.
        """
        if not self._limit:
            return
        if self._is_close(more):
            with self._database.connect() as connection:
                self._sum(connection)
        if self._used + more > self._limit:
            raise self._exceeded(self._used)

    def check_added(self, connection: Connection, more: int) -> None:
        """Within the transaction that has added ``more`` bytes; those that end close to the quota wait for each other.

        :raises DomainError: ``quota-exceeded``.
        """
        if not self._limit:
            return
        if self._is_close(more):
            connection.execute(select(one_at_a_time(_LOCK)))
            self._sum(connection)
        else:
            self._used += more
        if self._used > self._limit:
            self._trusted_until = 0.0
            raise self._exceeded(self._used - more)

    def _is_close(self, more: int) -> bool:
        small = more <= SMALL * self._limit and self._used + more <= FAR * self._limit
        return not small or time.monotonic() > self._trusted_until

    def _sum(self, connection: Connection) -> None:
        began = time.monotonic()
        self._used = connection.scalars(select(STORED_BYTES)).one()
        ended = time.monotonic()
        self._trusted_until = ended + (ended - began) / SUMMING

    def _exceeded(self, used: int) -> DomainError:
        detail = f"All files together may have {self._limit} bytes, and have {used}; delete what is not needed."
        return DomainError("quota-exceeded", detail)
