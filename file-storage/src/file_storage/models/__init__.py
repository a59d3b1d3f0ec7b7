"""The database models of file-storage."""

from file_storage.models.file import (
    Base,
    Blob,
    File,
    FileChange,
    FileChore,
    FileCount,
    FileEvent,
    IdempotencyKey,
    Link,
    ObjectState,
    OwnerTotal,
    StorageTotal,
    StoredObject,
    Upload,
    UploadKind,
)

__all__ = [
    "Base",
    "Blob",
    "File",
    "FileChange",
    "FileChore",
    "FileCount",
    "FileEvent",
    "IdempotencyKey",
    "Link",
    "ObjectState",
    "OwnerTotal",
    "StorageTotal",
    "StoredObject",
    "Upload",
    "UploadKind",
]
