"""The one place where file-storage's implementations are chosen from its settings."""

from operator import methodcaller
from pathlib import Path

import svcs
from prometheus_client.registry import Collector
from service_kit.database import Database

from file_storage.config import Settings, StorageSettings
from file_storage.intake.read_ahead import ReadAhead
from file_storage.services.files import FileService
from file_storage.services.fsck import Fsck
from file_storage.services.links import LinkSigner
from file_storage.services.metrics import FileMetrics
from file_storage.services.quota import Quota
from file_storage.services.uploads import UploadService
from file_storage.storage import BlobStore, Staging
from file_storage.storage.folder import FolderBlobStore
from file_storage.storage.partial import PartialFiles
from file_storage.storage.s3 import S3BlobStore

ABANDONED_AFTER_SECONDS = 24 * 3600
"""A staging file that nobody wrote to for so long was left by a process that died."""


def create_registry(settings: Settings) -> svcs.Registry:
    """Everything a request may ask for, by its type."""
    registry = svcs.Registry()
    database = Database(settings.database.url, settings.database.pool_size)
    folder = Path(settings.storage.folder)
    received = Path(settings.upload.body_folder) if settings.upload.body_folder else None
    staging = Staging(folder / "staging", settings.storage.reserve_bytes, received)
    staging.sweep(ABANDONED_AFTER_SECONDS)
    blobs = _blob_store(settings.storage)
    registry.register_value(Settings, settings)
    registry.register_value(Database, database, ping=Database.ping)
    registry.register_value(Staging, staging, ping=Staging.ping)
    registry.register_value(ReadAhead, ReadAhead(staging, received, settings.upload.max_bytes))
    registry.register_value(BlobStore, blobs, ping=methodcaller("ping"))
    registry.register_value(LinkSigner, LinkSigner(settings.links.secret.get_secret_value()))
    files = FileService(database, blobs, staging, Quota(database, settings.storage.quota_bytes))
    registry.register_value(FileService, files)
    registry.register_value(Collector, FileMetrics(database, staging, settings.storage.quota_bytes))
    registry.register_value(Fsck, Fsck(database, blobs, files))
    partials = PartialFiles(folder / "uploads", staging)
    registry.register_value(PartialFiles, partials)
    uploads = UploadService(
        database, partials, staging, files, settings.upload.max_bytes, settings.upload.resumable_seconds
    )
    registry.register_value(UploadService, uploads)
    return registry


def _blob_store(settings: StorageSettings) -> BlobStore:
    return S3BlobStore(settings.url) if settings.url else FolderBlobStore(Path(settings.folder, "blobs"))
