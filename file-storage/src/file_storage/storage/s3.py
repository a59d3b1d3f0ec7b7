"""Stores blobs in an S3 bucket: ``<prefix>/ab/cd/<sha256>``."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import BufferedReader, RawIOBase

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from file_storage.storage.blob_store import StorageUnavailableError, blob_path
from file_storage.storage.staging import StagedBlob

PART_BYTES = 8 * 1024 * 1024
MAX_PARALLEL_PARTS = 4
SIGNED_URL_LIFETIME = timedelta(hours=1)
"""Time within which a download must begin."""
RETRY_TIMEOUT = timedelta(seconds=15)
"""Maximum time that retries occupy a thread; after it, the client gets a 503."""
PING_SECONDS = 3
DAMAGED = "damaged/"


class S3BlobStore:
    """Implements :class:`file_storage.storage.BlobStore` on S3.

    :param url: ``s3://bucket/prefix``; credentials, region and endpoint come from the AWS tools' environment variables
        (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``).
    """

    def __init__(self, url: str) -> None:
        self._store = S3Store.from_url(
            url, client_options={"allow_http": True}, retry_config={"retry_timeout": RETRY_TIMEOUT}
        )
        self._pinged = S3Store.from_url(
            url,
            client_options={"allow_http": True, "timeout": timedelta(seconds=PING_SECONDS)},
            retry_config={"max_retries": 0},
        )

    def prepare(self, staged: StagedBlob) -> None:
        # S3 makes a multipart upload visible as a whole, after its last part.
        with _available():
            obstore.put(
                self._store,
                blob_path(staged.sha256),
                staged.path,
                chunk_size=PART_BYTES,
                max_concurrency=MAX_PARALLEL_PARTS,
            )

    def publish(self, staged: StagedBlob) -> None:
        try:
            with _available():
                obstore.head(self._store, blob_path(staged.sha256))
        except FileNotFoundError:
            # The blob was deleted after prepare, together with the last other file of the same bytes.
            self.prepare(staged)

    def location(self, sha256: str, size: int) -> str:  # noqa: ARG002 (the size is not checked: that would take a request)
        return obstore.sign(self._store, "GET", blob_path(sha256), SIGNED_URL_LIFETIME)

    def open(self, sha256: str) -> BufferedReader:
        return BufferedReader(_Reader(self._store, blob_path(sha256)), PART_BYTES)

    def delete(self, sha256: str) -> None:
        with _available(), suppress(FileNotFoundError):
            obstore.delete(self._store, blob_path(sha256))

    def set_aside(self, sha256: str) -> None:
        with _available():
            obstore.rename(self._store, blob_path(sha256), f"{DAMAGED}{sha256}")

    def stored(self, older_than_seconds: float) -> Iterator[str]:
        latest = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        with _available():
            for objects in obstore.list(self._store):
                for blob in objects:
                    if blob["last_modified"] <= latest and not blob["path"].startswith(DAMAGED):
                        yield blob["path"].rsplit("/", 1)[-1]

    def ping(self) -> None:
        with _available():
            obstore.list_with_delimiter(self._pinged)


@contextmanager
def _available() -> Iterator[None]:
    """Raise :class:`StorageUnavailableError` for any error of S3 or the network, such as wrong credentials.

    Keep only the error's first line; the other lines are the client library's own error chain.
    """
    try:
        yield
    except BaseError as error:
        raise StorageUnavailableError(str(error).partition("\n")[0]) from error


class _Reader(RawIOBase):
    """Reads an object in chunks, each with a range request."""

    def __init__(self, store: S3Store, path: str) -> None:
        with _available():
            self._file = obstore.open_reader(store, path, buffer_size=PART_BYTES)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # BufferedReader passes a memoryview
        with _available():
            data = bytes(self._file.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)
