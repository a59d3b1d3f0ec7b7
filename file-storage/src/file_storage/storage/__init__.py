"""Where blobs lie: the interface, one file for each kind of store, and the folder where bytes wait to become blobs."""

from file_storage.storage.blob_store import BlobStore, StorageUnavailableError
from file_storage.storage.staging import Readable, StagedBlob, Staging, StorageFullError

__all__ = ["BlobStore", "Readable", "StagedBlob", "Staging", "StorageFullError", "StorageUnavailableError"]
