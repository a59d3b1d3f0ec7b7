"""Sources by the SHA-256 of their bytes, sent by the web server alone: no service is asked, no row looked up."""

from pathlib import Path

import urllib3
from urllib3.exceptions import HTTPError

from image_processor.services.files.client import CHUNK, FileStorageUnavailableError, check_size


class BlobClient:
    """Fetches blobs.

    :param url: what stands before a blob's SHA-256.
    :param timeout_seconds: without a byte, after which a transfer has failed.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._http = urllib3.PoolManager(timeout=timeout_seconds, retries=False)

    def fetch(self, sha256: str, target: Path, max_bytes: int) -> bool:
        """Writes the blob to ``target``; ``False`` where the web server does not have it.

        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: it has more than ``max_bytes``.
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
