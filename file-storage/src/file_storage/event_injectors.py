"""Creates the objects for the process of the event stream from the settings.

Separate from :mod:`file_storage.injectors`, which imports Flask, because this process starts faster without it.
"""

from functools import partial
from pathlib import Path

from service_kit.database import Database
from service_kit.events.rows import Events
from service_kit.events.stream import EventStream
from service_kit.housekeeping import Chore, Housekeeping

from file_storage.config import Settings, StorageSettings
from file_storage.models import FileEvent
from file_storage.services.blobs import BlobService
from file_storage.services.expiry import ExpiryService
from file_storage.services.idempotency import IdempotencyKeys
from file_storage.services.removal import Removal
from file_storage.services.totals import fold
from file_storage.services.trash import TrashService
from file_storage.storage import BlobStore
from file_storage.storage.folder import FolderBlobStore
from file_storage.storage.s3 import S3BlobStore

EXPIRY_INTERVAL_SECONDS = 60
"""Interval between two runs of a chore."""
FOLD_INTERVAL_SECONDS = 3600
"""Interval between two folds of the totals, which read all their rows."""


def create_event_stream(settings: Settings) -> EventStream[FileEvent]:
    """Return the event stream for the application that serves it."""
    database = Database(settings.database.url, settings.database.pool_size)
    live = Events(Database(settings.database.url, pool_size=1), FileEvent)
    return EventStream(Events(database, FileEvent), settings.events.poll_seconds, settings.events.backlog, live)


def create_housekeeping(settings: Settings) -> Housekeeping:
    """Return the housekeeping that deletes what is old or has expired, and folds the rows of the totals."""
    database = Database(settings.database.url, pool_size=1)
    removal = Removal(database, BlobService(database, create_blob_store(settings.storage, database)))
    forget_events = partial(Events(database, FileEvent).forget_older_than, settings.events.keep_seconds)
    chores = (
        forget_events,
        IdempotencyKeys(database).forget_expired,
        ExpiryService(database, removal).expire_in_steps,
        TrashService(database, removal, settings.trash.seconds).end_expired_in_steps,
    )
    fold_totals = Chore(FOLD_INTERVAL_SECONDS, partial(fold, database))
    return Housekeeping([*(Chore(EXPIRY_INTERVAL_SECONDS, chore) for chore in chores), fold_totals])


def create_blob_store(settings: StorageSettings, database: Database) -> BlobStore:
    """Return the blob store chosen by the settings."""
    return S3BlobStore(settings.url, database) if settings.url else FolderBlobStore(Path(settings.folder, "blobs"))
