"""Fetches sources by SHA-256 from the web server, bypassing file-storage and its database."""

from pathlib import Path

import httpcore2

from image_processor.services.files.client import FileStorageUnavailableError, check_size


class BlobClient:
    """Fetches blobs over HTTP.

    :param url: the URL prefix of a blob, which its SHA-256 follows.
    :param timeout_seconds: the timeout for connecting, and between two chunks.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._http = httpcore2.ConnectionPool(max_connections=None)
        self._limits = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout_seconds)}

    def fetch(self, sha256: str, target: Path, max_bytes: int) -> bool:
        """Write the blob to ``target``; return ``False`` if the web server does not have it.

        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: the blob is larger than ``max_bytes``.
        """
        try:
            with self._http.stream("GET", self._url + sha256, extensions=self._limits) as response:
                if response.status != 200:
                    response.read()
                    return False
                length = {name.lower(): value for name, value in response.headers}[b"content-length"]
                check_size(int(length), max_bytes)
                with target.open("wb") as file:
                    for piece in response.iter_stream():
                        file.write(piece)
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError) as error:
            raise FileStorageUnavailableError(str(error) or type(error).__name__) from error
        return True
