"""Quotas that limit the bytes of all files together, and the bytes and files of each owner.

Unfinished resumable uploads count with their reserved bytes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from service_kit.access.principals import Principal
from service_kit.database import Database, one_at_a_time
from service_kit.errors import DomainError
from service_kit.texts import counted
from sqlalchemy import Connection, select

from file_storage.services.totals import stored, stored_by

NEAR_LIMIT = 0.9
SMALL_UPLOAD = 0.001
"""Fractions of a limit: additions below ``SMALL_UPLOAD`` are not serialized until ``NEAR_LIMIT`` is used."""

_LOCK = 507
"""Number of the lock in :class:`one_at_a_time` for all files. An owner's number is a hash of its name;
image-processor's webhooks use another number in the same database."""


class Addition(NamedTuple):
    """The amounts that a request adds.

    :param stored: bytes that were not stored before, so none for a copy.
    :param bytes: bytes of files and uploads of the owner.
    """

    stored: int
    bytes: int
    files: int


@dataclass(frozen=True)
class _Limit:
    """A limit and the addition to check.

    :param owner: the owner whose totals count; ``None`` for the totals of all.
    :param counts_files: whether the limit is a number of files instead of bytes.
    """

    maximum: int
    more: int
    owner: str | None = None
    counts_files: bool = False

    def used(self, connection: Connection) -> int:
        totals = stored(connection) if self.owner is None else stored_by(connection, self.owner)
        return totals.files if self.counts_files else totals.bytes + totals.reserved

    @property
    def lock(self) -> int:
        if self.owner is None:
            return _LOCK
        return int.from_bytes(hashlib.sha256(f"quota {self.owner}".encode()).digest()[:8], signed=True)

    def exceeded(self, used: int) -> DomainError:
        if self.owner is None:
            detail = counted(
                "All files together may have at most {limit} byte and have {used}, including unfinished uploads; "
                "delete files and empty the trash to make room.",
                "All files together may have at most {limit} bytes and have {used}, including unfinished uploads;"
                " delete files and empty the trash to make room.",
                "limit",
                owner=None,
                limit=self.maximum,
                used=used,
            )
        elif self.counts_files:
            detail = counted(
                "The owner '{owner}' may have at most {limit} file and has {used}; delete files and empty the "
                "trash to make room.",
                "The owner '{owner}' may have at most {limit} files and has {used}; delete files and empty the "
                "trash to make room.",
                "limit",
                owner=self.owner,
                limit=self.maximum,
                used=used,
            )
        else:
            detail = counted(
                "The files of the owner '{owner}' may have at most {limit} byte and have {used}, including "
                "unfinished uploads; delete files and empty the trash to make room.",
                "The files of the owner '{owner}' may have at most {limit} bytes and have {used}, including "
                "unfinished uploads; delete files and empty the trash to make room.",
                "limit",
                owner=self.owner,
                limit=self.maximum,
                used=used,
            )
        return DomainError("quota-exceeded", detail)


class Quota:
    """Refuses additions that would exceed a limit.

    :param limit: maximum bytes of all files; 0 for no limit.
    """

    def __init__(self, database: Database, limit: int) -> None:
        self._database = database
        self._limit = limit

    def check(self, principal: Principal, more: Addition) -> None:
        """Refuse an addition early; only :meth:`check_added` is exact.

        :raises DomainError: ``quota-exceeded``.
        """
        limits = list(self._limits(principal, more))
        if not limits:
            return
        with self._database.connect() as connection:
            for limit in limits:
                used = limit.used(connection)
                if used + limit.more > limit.maximum:
                    raise limit.exceeded(used)

    def check_files(self, principal: Principal, more: int) -> None:
        """Refuse more files early, for example of an upload whose bytes count already.

        :raises DomainError: ``quota-exceeded``.
        """
        maximum = principal.limits.files
        if maximum is None or not more:
            return
        limit = _Limit(maximum, more, principal.owner, counts_files=True)
        with self._database.connect() as connection:
            used = limit.used(connection)
        if used + more > maximum:
            raise limit.exceeded(used)

    def check_added(self, connection: Connection, principal: Principal, more: Addition, counted_twice: int = 0) -> None:
        """Check within the transaction that has added ``more``; near a limit, transactions are serialized.

        :param counted_twice: bytes of uploads that became this addition and are counted until they are removed.
        :raises DomainError: ``quota-exceeded``.
        """
        for limit in self._limits(principal, more):
            used = limit.used(connection)
            if limit.more > SMALL_UPLOAD * limit.maximum or used > NEAR_LIMIT * limit.maximum:
                connection.execute(select(one_at_a_time(limit.lock)))
                used = limit.used(connection)
            if not limit.counts_files:
                used -= counted_twice
            if used > limit.maximum:
                raise limit.exceeded(used - limit.more)

    def _limits(self, principal: Principal, more: Addition) -> Iterator[_Limit]:
        """Yield the limits in the order in which their locks are taken."""
        if self._limit and more.stored:
            yield _Limit(self._limit, more.stored)
        if principal.limits.bytes is not None:
            yield _Limit(principal.limits.bytes, more.bytes, principal.owner)
        if principal.limits.files is not None and more.files:
            yield _Limit(principal.limits.files, more.files, principal.owner, counts_files=True)
