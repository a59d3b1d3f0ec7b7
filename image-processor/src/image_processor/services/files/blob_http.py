"""Fetch sources by SHA-256 from the web server, without a request to file-storage or its database."""

from pathlib import Path

import urllib3
from urllib3.exceptions import HTTPError

from image_processor.services.files.client import CHUNK, FileStorageUnavailableError, check_size


class BlobClient:
    """Fetches blobs.

    :param url: the prefix of a blob's URL; its SHA-256 follows.
    :param timeout_seconds: to connect, and between two chunks.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._http = urllib3.PoolManager(timeout=timeout_seconds, retries=False)

    def fetch(self, sha256: str, target: Path, max_bytes: int) -> bool:
        """Write the blob to ``target``; return ``False`` if the web server does not have it.

        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: the blob has more than ``max_bytes``.
        """
        try:
            response = self._http.request("GET", self._url + sha256, preload_content=False)
            with response, target.open("wb") as file:
                if response.status != 200:
                    response.drain_conn()
                    return False
                check_size(int(response.headers["Content-Length"]), max_bytes)
                for chunk in response.stream(CHUNK):
                    file.write(chunk)
        except HTTPError as error:
            raise FileStorageUnavailableError(str(error)) from error
        return True
