"""The one place where file-storage's implementations are chosen from its settings."""

from pathlib import Path

import svcs
from service_kit.database import Database

from file_storage.config import Settings
from file_storage.services.files import FileService
from file_storage.storage import BlobStore
from file_storage.storage.folder import FolderBlobStore


def create_registry(settings: Settings) -> svcs.Registry:
    """Everything a request may ask for, by its type."""
    registry = svcs.Registry()
    database = Database(settings.database.url, settings.database.pool_size)
    blobs = FolderBlobStore(Path(settings.storage.folder))
    registry.register_value(Settings, settings)
    registry.register_value(Database, database, ping=Database.ping)
    registry.register_value(BlobStore, blobs, ping=FolderBlobStore.ping)
    registry.register_value(FileService, FileService(database, blobs))
    return registry
