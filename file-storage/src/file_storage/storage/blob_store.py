"""What a blob store can do; blobs are named by the SHA-256 of their bytes."""

from collections.abc import Iterator
from io import BufferedReader
from typing import Protocol

from service_kit.errors import DomainError

from file_storage.storage.staging import StagedBlob


class StorageUnavailableError(DomainError):
    """The store does not answer at this moment.

    :param reason: for the log; clients do not see it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("storage-unavailable", "The store of the files does not answer; try again.", retry_after=5)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class BlobStore(Protocol):
    """A store of blobs.

    One that lies behind a network raises :class:`StorageUnavailableError` wherever it does not answer.
    """

    def prepare(self, staged: StagedBlob) -> None:
        """Does, without any lock, whatever of :meth:`publish` takes long."""

    def publish(self, staged: StagedBlob) -> None:
        """Makes sealed bytes a blob, durably; publishing the same bytes again heals the blob if it was damaged.

        Called under the lock of the blob's row, after :meth:`prepare`.

        :raises StorageFullError: there is no room.
        """

    def location(self, sha256: str, size: int) -> str:
        """Where the web server, or the client, gets a blob's bytes: below the root that the settings name.

        :raises FileNotFoundError: the store sees that it does not have all ``size`` of them.
        """

    def open(self, sha256: str) -> BufferedReader:
        """A blob's bytes, for reading.

        :raises FileNotFoundError: the store does not have them.
        """

    def delete(self, sha256: str) -> None:
        """Removes a blob's bytes; a missing blob is no error."""

    def set_aside(self, sha256: str) -> None:
        """Moves a blob's bytes to where nobody is given them, because they are not what their name says."""

    def stored(self, older_than_seconds: float) -> Iterator[str]:
        """The SHA-256 of every blob that was written longer ago than that."""

    def ping(self) -> None:
        """Raises when the store does not answer."""


def blob_path(sha256: str) -> str:
    """Where a store keeps a blob, below its own root: spread over folders, so that none has too many."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"
