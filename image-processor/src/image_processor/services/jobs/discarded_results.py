"""Deletes results that no task needs from file-storage, including those still being uploaded."""

from collections.abc import Sequence

import structlog
from service_kit.database import Database, epoch_now
from sqlalchemy import delete, select, update

from image_processor.models import DiscardedResult
from image_processor.services.files.client import FileStorage, FileStorageUnavailableError

log = structlog.get_logger()

BATCH = 50
"""Maximum number of keys revoked in one run."""
RETRY_SECONDS = 5
"""Delay before a key is tried again."""


# A key due later than the longest delay was postponed before the database's clock was set back.
_DUE = (DiscardedResult.due_at <= epoch_now()) | (DiscardedResult.due_at > epoch_now() + RETRY_SECONDS)
_FIRST_DUE = select(DiscardedResult.key).where(_DUE).order_by(DiscardedResult.due_at).limit(1)


class DiscardedResults:
    """The idempotency keys of discarded results; each key belongs to one owner."""

    def __init__(self, database: Database, storage: FileStorage) -> None:
        self._database = database
        self._storage = storage

    def revoke_due(self) -> None:
        """Revoke the keys that are due; postpone those that file-storage cannot revoke now."""
        for key, owner in self._take_due():
            try:
                self._storage.acting_for(owner).revoke(key)
            except FileStorageUnavailableError as error:
                log.warning("result not discarded yet", key=key, error=str(error))
                return
            with self._database.begin() as connection:
                connection.execute(delete(DiscardedResult).where(DiscardedResult.key == key))

    def _take_due(self) -> Sequence[tuple[str, str]]:
        with self._database.connect() as connection:
            if connection.execute(_FIRST_DUE).first() is None:
                return []
        with self._database.begin() as connection:
            due = select(DiscardedResult.key, DiscardedResult.owner).where(_DUE).order_by(DiscardedResult.due_at)
            first = due.limit(BATCH).with_for_update(skip_locked=True)
            taken = [(key, owner) for key, owner in connection.execute(first)]
            is_taken = DiscardedResult.key.in_([key for key, _ in taken])
            connection.execute(update(DiscardedResult).where(is_taken).values(due_at=epoch_now() + RETRY_SECONDS))
        return taken
