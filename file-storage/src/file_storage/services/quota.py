"""How many bytes all files together may have."""

from service_kit.database import Database, one_at_a_time
from service_kit.errors import DomainError
from sqlalchemy import Connection, select

from file_storage.services.totals import stored

FAR = 0.9
SMALL = 0.001
"""Parts of the quota: uploads smaller than ``SMALL`` that end below ``FAR`` do not wait for each other."""

_LOCK = 507
"""For :class:`one_at_a_time`; nothing else of Pixmill locks by a number."""


class Quota:
    """Refuses what would go over the quota.

    :param limit: in bytes; 0 for none.
    """

    def __init__(self, database: Database, limit: int) -> None:
        self._database = database
        self._limit = limit

    def check(self, more: int) -> None:
        """Refuse early what cannot be stored; :meth:`check_added` decides exactly.

        :raises DomainError: ``quota-exceeded``, by ``more`` bytes.
        """
        if not self._limit:
            return
        with self._database.connect() as connection:
            used = stored(connection).bytes
        if used + more > self._limit:
            raise self._exceeded(used)

    def check_added(self, connection: Connection, more: int) -> None:
        """Check within the transaction that has added ``more`` bytes; those close to the quota wait for each other.

        :raises DomainError: ``quota-exceeded``.
        """
        if not self._limit:
            return
        used = stored(connection).bytes
        if more > SMALL * self._limit or used > FAR * self._limit:
            connection.execute(select(one_at_a_time(_LOCK)))
            used = stored(connection).bytes
        if used > self._limit:
            raise self._exceeded(used - more)

    def _exceeded(self, used: int) -> DomainError:
        detail = f"All files together may have {self._limit} bytes, and have {used}; delete what is not needed."
        return DomainError("quota-exceeded", detail)
