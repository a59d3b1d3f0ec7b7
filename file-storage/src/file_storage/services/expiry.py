"""Remove files that have expired, a few at a time."""

import time

import structlog
from service_kit.database import Database, epoch_now
from sqlalchemy import select

from file_storage.models import File
from file_storage.services.removal import Removal

log = structlog.get_logger()

EXPIRE_SECONDS = 60
"""Minimum seconds between two removals by uploads, unless the last one removed many."""
EXPIRE_BATCH = 100
"""Files removed at a time."""
EXPIRE_STEPS = 100
"""Removals of one run of housekeeping, at most."""


class ExpiryService:
    """Removes expired files; until then no statement finds them."""

    def __init__(self, database: Database, removal: Removal) -> None:
        self._database = database
        self._removal = removal
        self._next_expiry = 0.0

    def expire(self) -> int:
        """Remove at most :data:`EXPIRE_BATCH` expired files, with bytes that no other file has; return their number."""
        due = select(File.id).where(_EXPIRED).order_by(File.expires_at).limit(EXPIRE_BATCH)
        with self._database.read() as session:
            ids = session.scalars(due).all()
        removed = self._removal.remove(ids, _EXPIRED)
        if removed:
            log.info("files expired", files=len(removed))
        return len(removed)

    def expire_periodically(self) -> None:
        """Remove some expired files, if nobody has done so lately."""
        if time.monotonic() < self._next_expiry:
            return
        self._next_expiry = time.monotonic() + EXPIRE_SECONDS
        if self.expire() == EXPIRE_BATCH:
            # Or clients that send more than a batch in this time would fill the quota for good.
            self._next_expiry = time.monotonic() + 1

    def expire_in_steps(self) -> None:
        """Remove expired files, at most :data:`EXPIRE_STEPS` times :data:`EXPIRE_BATCH`: other chores have a turn."""
        for _ in range(EXPIRE_STEPS):
            if self.expire() < EXPIRE_BATCH:
                return

    def collect_garbage(self) -> int:
        """Remove all expired files and return their number."""
        removed = 0
        while expired := self.expire():
            removed += expired
        return removed


_EXPIRED = File.expires_at <= epoch_now()
