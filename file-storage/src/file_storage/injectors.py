"""The one place where file-storage's implementations are chosen from its settings."""

from pathlib import Path

import svcs
from service_kit.database import Database

from file_storage.config import Settings
from file_storage.services.files import FileService
from file_storage.services.links import LinkSigner
from file_storage.storage import BlobStore, Staging
from file_storage.storage.folder import FolderBlobStore

ABANDONED_AFTER_SECONDS = 24 * 3600
"""A staging file that nobody wrote to for so long was left by a process that died."""


def create_registry(settings: Settings) -> svcs.Registry:
    """Everything a request may ask for, by its type."""
    registry = svcs.Registry()
    database = Database(settings.database.url, settings.database.pool_size)
    folder = Path(settings.storage.folder)
    staging = Staging(folder / "staging", settings.storage.reserve_bytes)
    staging.sweep(ABANDONED_AFTER_SECONDS)
    blobs = FolderBlobStore(folder / "blobs")
    registry.register_value(Settings, settings)
    registry.register_value(Database, database, ping=Database.ping)
    registry.register_value(Staging, staging, ping=Staging.ping)
    registry.register_value(BlobStore, blobs, ping=FolderBlobStore.ping)
    registry.register_value(LinkSigner, LinkSigner(settings.links.secret.get_secret_value()))
    registry.register_value(FileService, FileService(database, blobs, staging))
    return registry
