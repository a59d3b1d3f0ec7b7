"""How many bytes all files together may have."""

import time

from service_kit.database import Database
from service_kit.problems import Problem
from sqlalchemy import func, select

from file_storage.models import Blob

TRUSTED_SECONDS = 10
"""For so long a sum is believed, this process's own uploads added, where it is far from the quota."""
FAR = 0.9
"""Nearer than this part of the quota the bytes are summed for each upload."""


class Quota:
    """Refuses what would go over the quota; uploads at the very same moment may go over it together.

    :param limit: in bytes; 0 for none.
    """

    def __init__(self, database: Database, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._used = 0
        self._trusted_until = 0.0

    def check(self, more: int) -> None:
        """:raises Problem: 507, ``more`` bytes would go over the quota."""
        if not self._limit:
            return
        if time.monotonic() > self._trusted_until or self._used + more > FAR * self._limit:
            self._sum()
        if self._used + more > self._limit:
            detail = (
                f"All files together may have {self._limit} bytes, and have {self._used}; delete what is not needed."
            )
            raise Problem("quota-exceeded", 507, detail)

    def add(self, size: int) -> None:
        """Counts what was stored."""
        self._used += size

    def _sum(self) -> None:
        with self._database.read() as session:
            self._used = session.scalar(select(func.coalesce(func.sum(Blob.size), 0)).where(Blob.file_count > 0)) or 0
        self._trusted_until = time.monotonic() + TRUSTED_SECONDS
