"""Removes expired files in small batches."""

from service_kit.database import Database, epoch_now
from sqlalchemy import select

from file_storage.models import File
from file_storage.services.removal import Removal

EXPIRE_BATCH = 100
"""Maximum number of files per removal."""


class ExpiryService:
    """Removes expired files, which no query finds even before their removal."""

    def __init__(self, database: Database, removal: Removal) -> None:
        self._database = database
        self._removal = removal
        self._begin = 0.0
        """The expiry at which the next removal begins. While an old snapshot is held, the index has an entry for each
        removed file, which removals that follow each other would read again."""

    def expire(self) -> int:
        """Remove at most :data:`EXPIRE_BATCH` expired files, with bytes that no other file has; return their number."""
        if self._removal.must_wait:
            return 0
        due = select(File.id, File.expires_at).where(_EXPIRED, File.expires_at >= self._begin)
        with self._database.connect() as connection:
            rows = connection.execute(due.order_by(File.expires_at).limit(EXPIRE_BATCH)).all()
        removed = self._removal.remove([row.id for row in rows], _EXPIRED)
        self._begin = rows[-1].expires_at or 0.0 if len(rows) == EXPIRE_BATCH else 0.0
        return len(removed)

    def collect_garbage(self) -> int:
        """Remove all expired files and return their number."""
        removed = 0
        while expired := self.expire():
            removed += expired
        return removed


_EXPIRED = File.expires_at <= epoch_now()
