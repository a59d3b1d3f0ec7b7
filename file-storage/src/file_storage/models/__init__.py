"""The rows of file-storage."""

from file_storage.models.file import Base, Blob, File, IdempotencyKey, StorageTotal, Upload

__all__ = ["Base", "Blob", "File", "IdempotencyKey", "StorageTotal", "Upload"]
