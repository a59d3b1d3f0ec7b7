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

    def expire(self) -> int:
        """Remove at most :data:`EXPIRE_BATCH` expired files, with bytes that no other file has; return their number."""
        if self._removal.must_wait:
            return 0
        due = select(File.id).where(_EXPIRED).order_by(File.expires_at).limit(EXPIRE_BATCH)
        with self._database.read() as session:
            ids = session.scalars(due).all()
        return len(self._removal.remove(ids, _EXPIRED))

    def collect_garbage(self) -> int:
        """Remove all expired files and return their number."""
        removed = 0
        while expired := self.expire():
            removed += expired
        return removed


_EXPIRED = File.expires_at <= epoch_now()
