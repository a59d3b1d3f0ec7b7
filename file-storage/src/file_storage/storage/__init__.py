"""Where blobs lie: the interface, and one file for each kind of store."""

from file_storage.storage.blob_store import BlobStore, StagedBlob, StorageFullError

__all__ = ["BlobStore", "StagedBlob", "StorageFullError"]
