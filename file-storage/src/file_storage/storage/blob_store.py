"""What a blob store can do; blobs are named by the SHA-256 of their bytes."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import IO, Protocol


class StorageFullError(Exception):
    """There is no room for the bytes; nothing of them was kept."""


class StagedBlob(Protocol):
    """Bytes on their way in: written and hashed, but not yet visible."""

    @property
    def size(self) -> int: ...

    def write(self, data: bytes | bytearray) -> None:
        """Appends ``data``.

        :raises StorageFullError: there is no room.
        """

    def seal(self) -> str:
        """Makes the bytes durable and gives their SHA-256 in hexadecimal; no write may follow.

        :raises StorageFullError: there is no room.
        """

    def publish(self) -> None:
        """Makes the sealed bytes a blob, durably; publishing the same bytes again changes nothing."""


class BlobStore(Protocol):
    """A store of blobs."""

    def stage(self) -> AbstractContextManager[StagedBlob]:
        """Begins a blob; leaving the block without :meth:`StagedBlob.publish` leaves nothing behind."""

    def location(self, sha256: str) -> str:
        """The path of a blob below the root that the web server sends files from."""

    def open(self, sha256: str) -> IO[bytes]:
        """A blob's bytes, for reading."""

    def delete(self, sha256: str) -> None:
        """Removes a blob's bytes; a missing blob is no error."""

    def stored(self, older_than_seconds: float) -> Iterator[str]:
        """The SHA-256 of every blob that was written longer ago than that."""

    def sweep(self, older_than_seconds: float) -> int:
        """Removes what uploads left that died longer ago than that, and tells how many there were."""

    def ping(self) -> None:
        """Raises when the store cannot be written to."""
