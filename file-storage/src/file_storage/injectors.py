"""Creates file-storage's services; only this and :mod:`file_storage.event_injectors` choose implementations."""

from operator import methodcaller
from pathlib import Path

import svcs
from prometheus_client.registry import Collector
from service_kit.database import Database

from file_storage.config import Settings
from file_storage.event_injectors import create_storing
from file_storage.intake.read_ahead import ReadAhead
from file_storage.sending.copies import RangeCopies
from file_storage.sending.front import FrontSender
from file_storage.sending.nginx import ACCELERATED, NginxS3Sender, NginxSender
from file_storage.sending.redirect import NginxRedirectSender, RedirectSender
from file_storage.sending.sender import FolderSender, Sender
from file_storage.services.blobs import BlobService
from file_storage.services.expiry import ExpiryService
from file_storage.services.files import FileService
from file_storage.services.fsck import Fsck
from file_storage.services.idempotency import IdempotencyKeys
from file_storage.services.links import LinkService, LinkSigner
from file_storage.services.metrics import FileMetrics
from file_storage.services.promises import Promises
from file_storage.services.shared_sets import SetSigner, SharedSets
from file_storage.services.stats import FileStats
from file_storage.services.storing import StoringService
from file_storage.services.trash import TrashService
from file_storage.services.upload_expiry import UploadExpiry
from file_storage.services.uploads import UploadService
from file_storage.storage import BlobStore, Staging
from file_storage.storage.partial import PartialFiles


def create_registry(settings: Settings) -> svcs.Registry:
    """Return a registry of all services by type; it starts no thread or process."""
    registry = svcs.Registry()
    services = create_storing(settings, settings.database.pool_size)
    database, store, staging, blobs = services.database, services.store, services.staging, services.blobs
    files = FileService(database, store, services.removal, services.keys)
    body_folder = Path(settings.upload.body_folder) if settings.upload.body_folder else None
    ahead = ReadAhead(staging, body_folder, settings.upload.max_bytes)
    registry.register_value(Settings, settings)
    registry.register_value(Database, database, ping=Database.ping)
    registry.register_value(Staging, staging, ping=Staging.ping)
    registry.register_value(BlobStore, store, ping=methodcaller("ping"))
    registry.register_value(BlobService, blobs)
    registry.register_value(IdempotencyKeys, services.keys)
    registry.register_value(FileService, files)
    registry.register_value(ExpiryService, services.expiry)
    registry.register_value(TrashService, services.trash)
    registry.register_value(Promises, services.promises)
    registry.register_value(StoringService, services.storing)
    registry.register_value(PartialFiles, services.partials)
    registry.register_value(UploadService, services.uploads)
    registry.register_value(UploadExpiry, services.upload_expiry)
    registry.register_value(ReadAhead, ahead, on_registry_close=ahead.close)
    copies = RangeCopies(files, staging)
    if settings.storage.url:
        registry.register_value(Sender, _sender_of_s3(settings, files, copies))
    else:
        registry.register_value(FolderSender, sender := _sender_of_folder(settings, files, copies))
        registry.register_value(Sender, sender)
    signer = SetSigner(settings.links.secrets)
    registry.register_value(LinkService, LinkService(database, LinkSigner(settings.links.secrets), signer))
    registry.register_value(SharedSets, SharedSets(database, signer))
    registry.register_value(Collector, FileMetrics(database, staging, settings.storage.quota_bytes))
    registry.register_value(FileStats, FileStats(database, staging, settings.storage.quota_bytes))
    registry.register_value(Fsck, Fsck(database, store, blobs, staging))
    return registry


def _sender_of_folder(settings: Settings, files: FileService, copies: RangeCopies) -> FolderSender:
    root = settings.download.root
    if settings.download.header == ACCELERATED:
        return NginxSender(files, root)
    return FrontSender(files, copies, root)


def _sender_of_s3(settings: Settings, files: FileService, copies: RangeCopies) -> Sender:
    if settings.download.header != ACCELERATED:
        return RedirectSender(files, copies)
    nginx = NginxS3Sender(files, copies)
    return NginxRedirectSender(files, nginx) if settings.download.redirect else nginx
