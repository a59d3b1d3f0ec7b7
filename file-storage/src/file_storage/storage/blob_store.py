"""The interface of blob stores; a blob is named by the SHA-256 of its bytes."""

from collections.abc import Iterator, Sequence
from io import BufferedReader
from typing import NamedTuple, Protocol

from service_kit.errors import DomainError
from service_kit.texts import sentence
from sqlalchemy import Connection

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


class OutdatedError(StorageUnavailableError):
    """The prepared bytes were removed before they were published; prepare them again."""


class Prepared(NamedTuple):
    """Sealed bytes that are ready to be published.

    :param name: the name that the store has given them.
    :param lost: the name of the same bytes that the store had before and no longer has.
    """

    staged: StagedBlob
    name: str
    lost: str | None = None


class BlobStore(Protocol):
    """A store of blobs.

    Some methods are called in a transaction that holds the locks of the blobs' rows: they use no network. Slow work is
    done before it (:meth:`prepare`) or after it (:meth:`finish`).

    Each other method of a networked store raises :class:`StorageUnavailableError` if the store does not respond.
    """

    def prepare(self, staged: StagedBlob) -> Prepared:
        """Do the slow part of :meth:`publish`, without a transaction.

        :raises StorageFullError: there is no room.
        """

    def publish(self, connection: Connection, prepared: Sequence[Prepared], /) -> Sequence[str]:
        """Make prepared bytes durable blobs, holding the locks of their rows; return the names for :meth:`finish`.

        Publishing the same bytes again repairs a blob whose bytes are missing.

        :raises OutdatedError: some bytes must be prepared again.
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

    def version(self, connection: Connection, sha256: str, /) -> str:
        """Return a text that changes when an upload replaces the bytes of a blob, without using the network."""

    def retract(self, connection: Connection, digests: Sequence[str], /) -> Sequence[str]:
        """Remove the bytes of blobs, holding the locks of their rows; return the names for :meth:`finish`.

        Ignore missing blobs.
        """

    def set_aside(self, connection: Connection, sha256: str, /) -> Sequence[str]:
        """Move a blob's damaged bytes to a place where they cannot be downloaded; otherwise like :meth:`retract`."""

    def finish(self, names: Sequence[str]) -> None:
        """Do the slow rest of the methods that returned these names, after their transaction."""

    def perhaps_unused(self, older_than_seconds: float) -> Iterator[str]:
        """Yield the SHA-256 of every blob that may have no file and was written at least this long ago."""

    def sweep(self, older_than_seconds: float, /) -> int:
        """Remove what interrupted requests left, except blobs, if it is at least this old; return its number."""

    def ping(self) -> None:
        """Raise an error if the store does not respond."""


def blob_path(sha256: str) -> str:
    """Return a blob's path below the store's root; subfolders keep each folder small."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"
