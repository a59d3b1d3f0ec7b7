"""The interface of blob stores; a blob is named by the SHA-256 of its bytes."""

from collections.abc import Iterator
from io import BufferedReader
from typing import Protocol

from service_kit.errors import DomainError
from service_kit.texts import sentence

from file_storage.storage.staging import StagedBlob


class StorageUnavailableError(DomainError):
    """The store does not respond.

    :param reason: text for the log; clients do not see it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("storage-unavailable", sentence("The file store does not answer; try again."), retry_after=5)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class BlobStore(Protocol):
    """A store of blobs.

    Each method of a networked store raises :class:`StorageUnavailableError` if the store does not respond.
    """

    def prepare(self, staged: StagedBlob) -> None:
        """Do the slow part of :meth:`publish`, without holding a lock."""

    def publish(self, staged: StagedBlob) -> None:
        """Make sealed bytes a durable blob; publishing the same bytes again repairs a damaged blob.

        Call this after :meth:`prepare`, holding the lock of the blob's row.

        :raises StorageFullError: there is no room.
        """

    def location(self, sha256: str, size: int) -> str:
        """Return the path of a blob for the web server or the client, relative to the root in the settings.

        :raises FileNotFoundError: the store notices that it does not have all ``size`` bytes.
        """

    def open(self, sha256: str) -> BufferedReader:
        """Open a blob's bytes for reading.

        :raises FileNotFoundError: the store does not have them.
        """

    def delete(self, sha256: str) -> None:
        """Remove a blob's bytes; ignore a missing blob."""

    def set_aside(self, sha256: str) -> None:
        """Move a blob's damaged bytes to a place where they cannot be downloaded."""

    def stored(self, older_than_seconds: float) -> Iterator[str]:
        """Yield the SHA-256 of every blob that was written at least this long ago."""

    def ping(self) -> None:
        """Raise an error if the store does not respond."""


def blob_path(sha256: str) -> str:
    """Return a blob's path below the store's root; subfolders keep each folder small."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"
