"""Blob stores: the interface, one module per kind of store, and the staging of bytes that become blobs."""

from file_storage.storage.blob_store import BlobStore, OutdatedError, Prepared, StorageUnavailableError
from file_storage.storage.staging import READ_BYTES, BodyFile, Readable, StagedBlob, Staging, StorageFullError

__all__ = [
    "READ_BYTES",
    "BlobStore",
    "BodyFile",
    "OutdatedError",
    "Prepared",
    "Readable",
    "StagedBlob",
    "Staging",
    "StorageFullError",
    "StorageUnavailableError",
]
