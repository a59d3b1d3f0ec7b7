"""The quota: a limit on the bytes of all files together."""

from service_kit.database import Database, one_at_a_time
from service_kit.errors import DomainError
from sqlalchemy import Connection, select

from file_storage.services.totals import stored

NEAR_LIMIT = 0.9
SMALL_UPLOAD = 0.001
"""Fractions of the quota: uploads below ``SMALL_UPLOAD`` are not serialized until ``NEAR_LIMIT`` is used."""

_LOCK = 507
"""The number of the lock :class:`one_at_a_time`; image-processor's webhooks have another in the same database."""


class Quota:
    """Refuses uploads that would exceed the quota.

    :param limit: in bytes; 0 for no quota.
    """

    def __init__(self, database: Database, limit: int) -> None:
        self._database = database
        self._limit = limit

    def check(self, more: int) -> None:
        """Refuse an upload of ``more`` bytes early; only :meth:`check_added` is exact.

        :raises DomainError: ``quota-exceeded``.
        """
        if not self._limit:
            return
        with self._database.connect() as connection:
            used = stored(connection).bytes
        if used + more > self._limit:
            raise self._exceeded(used)

    def check_added(self, connection: Connection, more: int) -> None:
        """Check within the transaction that has added ``more`` bytes; near the limit, transactions are serialized.

        :raises DomainError: ``quota-exceeded``.
        """
        if not self._limit:
            return
        used = stored(connection).bytes
        if more > SMALL_UPLOAD * self._limit or used > NEAR_LIMIT * self._limit:
            connection.execute(select(one_at_a_time(_LOCK)))
            used = stored(connection).bytes
        if used > self._limit:
            raise self._exceeded(used - more)

    def _exceeded(self, used: int) -> DomainError:
        detail = f"All files together may have at most {self._limit} bytes and have {used}; delete files to make room."
        return DomainError("quota-exceeded", detail)
