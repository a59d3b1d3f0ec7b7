"""Statistics of files for the web page: of an owner, or of all owners for an administrator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service_kit.access.principals import Principal
from service_kit.database import Database
from service_kit.remembered import Remembered

from file_storage.services.totals import MonthlyCount, Totals, monthly_counts, stored, stored_by
from file_storage.storage import Staging

REMEMBERED_SECONDS = 1.0
"""Time for which numbers are cached, regardless of how many pages request them."""


@dataclass(frozen=True)
class FileNumbers:
    """Numbers of files.

    :param stored: totals of an owner's files; for all owners, equal bytes count once.
    :param room: bytes that still fit on the disk and into each quota.
    :param quota_bytes: the quota; ``None`` for no limit.
    :param counts: numbers of these files by month and kind.
    """

    stored: Totals
    room: int
    quota_bytes: int | None
    quota_files: int | None
    counts: Sequence[MonthlyCount]


class _Read(NamedTuple):
    totals: Totals
    everything: Totals
    counts: Sequence[MonthlyCount]


class FileStats:
    """Reads the maintained totals instead of counting rows.

    :param quota_bytes: the quota of all files together in the settings; 0 for no quota.
    """

    def __init__(self, database: Database, staging: Staging, quota_bytes: int) -> None:
        self._database = database
        self._staging = staging
        self._quota_bytes = quota_bytes
        self._remembered = Remembered[_Read](REMEMBERED_SECONDS)

    def of(self, principal: Principal) -> FileNumbers:
        """Return the numbers of the files that a principal can see, at most :data:`REMEMBERED_SECONDS` old."""
        owner = None if principal.sees_all else principal.owner
        totals, everything, counts = self._remembered.get(owner, lambda: self._read(owner))
        limits = principal.limits
        room = self._staging.room()
        if self._quota_bytes:
            room = min(room, self._quota_bytes - everything.bytes - everything.reserved)
        if owner is None:
            return FileNumbers(totals, max(0, room), self._quota_bytes or None, None, counts)
        if limits.bytes is not None:
            room = min(room, limits.bytes - totals.bytes - totals.reserved)
        return FileNumbers(totals, max(0, room), limits.bytes, limits.files, counts)

    def _read(self, owner: str | None) -> _Read:
        with self._database.connect() as connection:
            everything = stored(connection)
            totals = everything if owner is None else stored_by(connection, owner)
            return _Read(totals, everything, monthly_counts(connection, owner))
