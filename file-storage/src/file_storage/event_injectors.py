"""Creates the objects for the process of the event stream from the settings.

Separate from :mod:`file_storage.injectors`, which imports Flask, because this process starts faster without it.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from service_kit.database import Database
from service_kit.events.rows import Events
from service_kit.events.stream import EventStream
from service_kit.housekeeping import Chore, Housekeeping, OwnChore
from service_kit.old_rows import STEP

from file_storage.config import Settings, StorageSettings
from file_storage.models import FileChore, FileEvent
from file_storage.services.blobs import BlobService
from file_storage.services.expiry import EXPIRE_BATCH, ExpiryService
from file_storage.services.idempotency import IdempotencyKeys
from file_storage.services.links import forget_expired as forget_expired_links
from file_storage.services.promises import Promises
from file_storage.services.quota import Quota
from file_storage.services.removal import Removal
from file_storage.services.storing import StoringService
from file_storage.services.totals import fold
from file_storage.services.trash import REMOVED_AT_ONCE, TrashService
from file_storage.services.upload_expiry import EXPIRE_BATCH as EXPIRED_UPLOADS_AT_ONCE
from file_storage.services.upload_expiry import LimitsOf, UploadExpiry
from file_storage.services.uploads import UploadService
from file_storage.storage import BlobStore, Staging
from file_storage.storage.folder import FolderBlobStore
from file_storage.storage.partial import PartialFiles
from file_storage.storage.s3 import S3BlobStore
from file_storage.storage.staging import ABANDONED_AFTER_SECONDS

EXPIRY_INTERVAL_SECONDS = 60
"""Interval between two runs of a chore."""
FOLD_INTERVAL_SECONDS = 3600
"""Interval between two folds of the totals, which read all their rows."""
SWEEP_INTERVAL_SECONDS = 3600
"""Interval between two looks for what dead processes left in the staging folder."""


class StoringServices(NamedTuple):
    """The services that store and remove files."""

    database: Database
    store: BlobStore
    staging: Staging
    partials: PartialFiles
    blobs: BlobService
    keys: IdempotencyKeys
    removal: Removal
    expiry: ExpiryService
    trash: TrashService
    promises: Promises
    storing: StoringService
    uploads: UploadService
    upload_expiry: UploadExpiry


def create_event_stream(settings: Settings) -> EventStream[FileEvent]:
    """Return the event stream for the application that serves it."""
    database = Database(settings.database.url, settings.database.pool_size)
    live = Events(Database(settings.database.url, pool_size=1), FileEvent)
    return EventStream(Events(database, FileEvent), settings.events.poll_seconds, settings.events.backlog, live)


def create_housekeeping(settings: Settings, limits_of: LimitsOf) -> Housekeeping:
    """Return the housekeeping that removes what is old or has expired, and folds the rows of the totals.

    Each process of the event stream has one. They share the chores, because they share the database.
    """
    services = create_storing(settings, pool_size=1)
    database = services.database
    expire_uploads = partial(services.upload_expiry.expire, limits_of)
    forget_events = partial(Events(database, FileEvent).forget_older_than, settings.events.keep_seconds)
    return Housekeeping(
        database,
        FileChore,
        [
            Chore("events", EXPIRY_INTERVAL_SECONDS, forget_events, STEP),
            Chore("idempotency keys", EXPIRY_INTERVAL_SECONDS, services.keys.forget_expired, STEP),
            Chore("links", EXPIRY_INTERVAL_SECONDS, partial(forget_expired_links, database), STEP),
            Chore("expired files", EXPIRY_INTERVAL_SECONDS, services.expiry.expire, EXPIRE_BATCH),
            Chore("trash", EXPIRY_INTERVAL_SECONDS, services.trash.end_expired, REMOVED_AT_ONCE),
            Chore("promises of room", EXPIRY_INTERVAL_SECONDS, services.promises.expire),
            Chore("resumable uploads", EXPIRY_INTERVAL_SECONDS, expire_uploads, EXPIRED_UPLOADS_AT_ONCE),
            Chore("totals", FOLD_INTERVAL_SECONDS, partial(fold, database)),
        ],
        # With blobs in S3, each machine has a staging folder of its own.
        [OwnChore(SWEEP_INTERVAL_SECONDS, partial(services.staging.sweep, ABANDONED_AFTER_SECONDS))],
    )


def create_storing(settings: Settings, pool_size: int) -> StoringServices:
    """Return the services that store and remove files; they start no thread or process."""
    database = Database(settings.database.url, pool_size)
    folder = Path(settings.storage.folder)
    body_folder = Path(settings.upload.body_folder) if settings.upload.body_folder else None
    staging = Staging(folder / "staging", settings.storage.reserve_bytes, body_folder)
    store = create_blob_store(settings.storage, database)
    blobs, keys = BlobService(database, store), IdempotencyKeys(database)
    removal = Removal(database, blobs)
    trash = TrashService(database, removal, settings.trash.seconds)
    quota = Quota(database, settings.storage.quota_bytes)
    expiry = ExpiryService(database, removal)
    partials = PartialFiles(folder / "uploads", staging)
    promises = Promises(database, partials, staging, quota)
    storing = StoringService(database, store, staging, quota, blobs, keys, expiry, trash, promises)
    uploads = UploadService(
        database,
        partials,
        staging,
        storing,
        quota,
        promises,
        settings.upload.max_bytes,
        settings.upload.resumable_seconds,
        settings.upload.max_unfinished,
    )
    return StoringServices(
        database=database,
        store=store,
        staging=staging,
        partials=partials,
        blobs=blobs,
        keys=keys,
        removal=removal,
        expiry=expiry,
        trash=trash,
        promises=promises,
        storing=storing,
        uploads=uploads,
        upload_expiry=UploadExpiry(database, partials, uploads),
    )


def create_blob_store(settings: StorageSettings, database: Database) -> BlobStore:
    """Return the blob store chosen by the settings."""
    return S3BlobStore(settings.url, database) if settings.url else FolderBlobStore(Path(settings.folder, "blobs"))
