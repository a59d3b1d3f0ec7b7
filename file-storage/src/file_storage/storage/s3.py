"""Blobs in a bucket of any S3: ``<prefix>/ab/cd/<sha256>``."""

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
PARTS_AT_ONCE = 4
SIGNED_FOR = timedelta(hours=1)
"""How long a signed URL is good: as long as the slowest download may take to begin."""
RETRIED_FOR = timedelta(seconds=15)
"""What fails is tried again for so long, and holds a thread; then the client is told to try again."""
PING_SECONDS = 3
DAMAGED = "damaged/"


class S3BlobStore:
    """Implements :class:`file_storage.storage.BlobStore` on S3.

    :param url: ``s3://bucket/prefix``; credentials, region and endpoint come from the environment, as the AWS tools
        have them (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``).
    """

    def __init__(self, url: str) -> None:
        self._store = S3Store.from_url(
            url, client_options={"allow_http": True}, retry_config={"retry_timeout": RETRIED_FOR}
        )
        self._pinged = S3Store.from_url(
            url,
            client_options={"allow_http": True, "timeout": timedelta(seconds=PING_SECONDS)},
            retry_config={"max_retries": 0},
        )

    def prepare(self, staged: StagedBlob) -> None:
        # A multipart upload becomes visible as a whole, when its last part is there.
        with _available():
            obstore.put(
                self._store, blob_path(staged.sha256), staged.path, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
            )

    def publish(self, staged: StagedBlob) -> None:
        try:
            with _available():
                obstore.head(self._store, blob_path(staged.sha256))
        except FileNotFoundError:
            # Deleted since prepare, with the last file that had the same bytes.
            self.prepare(staged)

    def location(self, sha256: str, size: int) -> str:  # noqa: ARG002 (S3 is not asked)
        return obstore.sign(self._store, "GET", blob_path(sha256), SIGNED_FOR)

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
                for each in objects:
                    if each["last_modified"] <= latest and not each["path"].startswith(DAMAGED):
                        yield each["path"].rsplit("/", 1)[-1]

    def ping(self) -> None:
        with _available():
            obstore.list_with_delimiter(self._pinged)


@contextmanager
def _available() -> Iterator[None]:
    """Whatever S3 or the network refuses is a store that does not answer: a bucket that is away, wrong credentials.

    The error's first line says what; the others are the client library's own chain.
    """
    try:
        yield
    except BaseError as error:
        raise StorageUnavailableError(str(error).partition("\n")[0]) from error


class _Reader(RawIOBase):
    """Reads an object piece by piece, each a request for a range."""

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

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the reader around it has this one
        with _available():
            data = bytes(self._file.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)
