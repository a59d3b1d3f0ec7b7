"""Choose file-storage's implementations from its settings; no other module does."""

from functools import partial
from operator import methodcaller
from pathlib import Path

import svcs
from prometheus_client.registry import Collector
from service_kit.database import Database
from service_kit.events.rows import Events
from service_kit.events.stream import EventStream
from service_kit.housekeeping import Chore, Housekeeping

from file_storage.config import Settings, StorageSettings
from file_storage.intake.read_ahead import ReadAhead
from file_storage.models import FileEvent
from file_storage.sending.copies import RangeCopies
from file_storage.sending.front import FrontSender
from file_storage.sending.nginx import NginxS3Sender, NginxSender
from file_storage.sending.redirect import NginxRedirectSender, RedirectSender
from file_storage.sending.sender import Sender
from file_storage.services.blobs import BlobService
from file_storage.services.expiry import ExpiryService
from file_storage.services.files import FileService
from file_storage.services.fsck import Fsck
from file_storage.services.idempotency import IdempotencyKeys
from file_storage.services.links import LinkService, LinkSigner
from file_storage.services.metrics import FileMetrics
from file_storage.services.quota import Quota
from file_storage.services.removal import Removal
from file_storage.services.shared_sets import SetSigner, SharedSets
from file_storage.services.stats import FileStats
from file_storage.services.storing import StoringService
from file_storage.services.trash import TrashService
from file_storage.services.uploads import UploadService
from file_storage.storage import BlobStore, Staging
from file_storage.storage.folder import FolderBlobStore
from file_storage.storage.partial import PartialFiles
from file_storage.storage.s3 import S3BlobStore

EXPIRY_INTERVAL_SECONDS = 60
"""Between two runs of a chore."""


def create_registry(settings: Settings) -> svcs.Registry:
    """Return a registry of all services by type; no thread or process is started."""
    registry = svcs.Registry()
    database = Database(settings.database.url, settings.database.pool_size)
    folder = Path(settings.storage.folder)
    body_folder = Path(settings.upload.body_folder) if settings.upload.body_folder else None
    staging = Staging(folder / "staging", settings.storage.reserve_bytes, body_folder)
    store = _blob_store(settings.storage)
    blobs, keys = BlobService(database, store), IdempotencyKeys(database)
    removal = Removal(database, blobs)
    files = FileService(database, store, removal, keys)
    trash = TrashService(database, removal, settings.trash.seconds)
    quota = Quota(database, settings.storage.quota_bytes)
    expiry = ExpiryService(database, removal)
    storing = StoringService(database, store, staging, quota, blobs, keys, expiry, trash)
    partials = PartialFiles(folder / "uploads", staging)
    uploads = UploadService(
        database, partials, staging, storing, quota, settings.upload.max_bytes, settings.upload.resumable_seconds
    )
    ahead = ReadAhead(staging, body_folder, settings.upload.max_bytes)
    registry.register_value(Settings, settings)
    registry.register_value(Database, database, ping=Database.ping)
    registry.register_value(Staging, staging, ping=Staging.ping)
    registry.register_value(BlobStore, store, ping=methodcaller("ping"))
    registry.register_value(BlobService, blobs)
    registry.register_value(IdempotencyKeys, keys)
    registry.register_value(FileService, files)
    registry.register_value(ExpiryService, expiry)
    registry.register_value(TrashService, trash)
    registry.register_value(StoringService, storing)
    registry.register_value(PartialFiles, partials)
    registry.register_value(UploadService, uploads)
    registry.register_value(ReadAhead, ahead, on_registry_close=ahead.close)
    registry.register_value(Sender, _sender(settings, files, RangeCopies(files, staging)))
    signer = SetSigner(settings.links.secrets)
    registry.register_value(LinkService, LinkService(database, LinkSigner(settings.links.secrets), signer))
    registry.register_value(SharedSets, SharedSets(database, signer))
    registry.register_value(Collector, FileMetrics(database, staging, settings.storage.quota_bytes))
    registry.register_value(FileStats, FileStats(database, staging, settings.storage.quota_bytes))
    registry.register_value(Fsck, Fsck(database, store, blobs, staging))
    return registry


def create_event_stream(settings: Settings) -> EventStream[FileEvent]:
    """Return the event stream for the application that serves it."""
    database = Database(settings.database.url, settings.database.pool_size)
    return EventStream(Events(database, FileEvent), settings.events.poll_seconds, settings.events.backlog)


def create_housekeeping(settings: Settings) -> Housekeeping:
    """Return what deletes old events, expired files, and files whose time in the trash is over."""
    database = Database(settings.database.url, pool_size=1)
    removal = Removal(database, BlobService(database, _blob_store(settings.storage)))
    forget_events = partial(Events(database, FileEvent).forget_older_than, settings.events.keep_seconds)
    chores = (
        forget_events,
        ExpiryService(database, removal).expire_in_steps,
        TrashService(database, removal, settings.trash.seconds).end_expired_in_steps,
    )
    return Housekeeping([Chore(EXPIRY_INTERVAL_SECONDS, chore) for chore in chores])


def _blob_store(settings: StorageSettings) -> BlobStore:
    return S3BlobStore(settings.url) if settings.url else FolderBlobStore(Path(settings.folder, "blobs"))


def _sender(settings: Settings, files: FileService, copies: RangeCopies) -> Sender:
    behind_nginx = settings.download.header == "X-Accel-Redirect"
    if not settings.storage.url:
        root = settings.download.root
        return NginxSender(files, root) if behind_nginx else FrontSender(files, copies, root)
    if not behind_nginx:
        return RedirectSender(files, copies)
    nginx = NginxS3Sender(files, copies)
    return NginxRedirectSender(files, nginx) if settings.download.redirect else nginx
