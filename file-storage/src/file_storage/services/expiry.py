"""Removes expired files in small batches."""

import time

import structlog
from service_kit.database import Database, epoch_now
from sqlalchemy import select

from file_storage.models import File
from file_storage.services.removal import Removal

log = structlog.get_logger()

EXPIRE_SECONDS = 60
"""Minimum seconds between removals by uploads, unless the last removal was a full batch."""
EXPIRE_BATCH = 100
"""Maximum number of files per removal."""
EXPIRE_STEPS = 100
"""Maximum number of removals in one run of housekeeping."""


class ExpiryService:
    """Removes expired files, which no query finds even before their removal."""

    def __init__(self, database: Database, removal: Removal) -> None:
        self._database = database
        self._removal = removal
        self._next_expiry = 0.0

    def expire(self) -> int:
        """Remove at most :data:`EXPIRE_BATCH` expired files, with bytes that no other file has; return their number."""
        if self._removal.must_wait:
            return 0
        due = select(File.id).where(_EXPIRED).order_by(File.expires_at).limit(EXPIRE_BATCH)
        with self._database.read() as session:
            ids = session.scalars(due).all()
        removed = self._removal.remove(ids, _EXPIRED)
        if removed:
            log.info("files expired", files=len(removed))
        return len(removed)

    def expire_periodically(self) -> None:
        """Remove some expired files, unless this was done recently."""
        if time.monotonic() < self._next_expiry:
            return
        self._next_expiry = time.monotonic() + EXPIRE_SECONDS
        if self.expire() == EXPIRE_BATCH:
            # Otherwise clients that send more than a batch per interval would keep the quota full.
            self._next_expiry = time.monotonic() + 1

    def expire_in_steps(self) -> None:
        """Remove expired files in at most :data:`EXPIRE_STEPS` batches, so that other chores get their turn."""
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
