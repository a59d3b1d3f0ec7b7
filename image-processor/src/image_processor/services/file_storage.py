"""The client of file-storage."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
from service_kit.problems import Problem

CHUNK = 256 * 1024


class FileStorageUnavailableError(Exception):
    """file-storage did not answer, or answered that it cannot now; trying again may help."""


class SourceError(Exception):
    """The source file is gone or too large; trying again does not help."""


class SourceName(NamedTuple):
    name: str
    extension: str


class FileStorage:
    """Talks to file-storage through ``http``, whose base URL is ``…/api/file-server``."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def missing(self, file_ids: Sequence[int]) -> list[int]:
        """Those of ``file_ids`` that are no files, in the given order.

        :raises Problem: 503, file-storage does not answer.
        """
        try:
            response = self._request("POST", "/lookup", json={"ids": list(file_ids)})
        except FileStorageUnavailableError as error:
            raise Problem(
                "file-storage-unavailable", 503, "The file server does not answer; try again.", retry_after=5
            ) from error
        known = set(response.json()["ids"])
        return [file_id for file_id in file_ids if file_id not in known]

    def fetch(self, file_id: int, target: Path, max_bytes: int) -> SourceName:
        """Writes the file's bytes to ``target``.

        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: there is no such file, or it has more than ``max_bytes``.
        """
        response = self._request("GET", f"/{file_id}")
        if response.status_code == 404:
            raise SourceError(f"The source file {file_id} does not exist any more.")
        file = response.json()
        if file["size"] > max_bytes:
            raise SourceError(f"The source file has {file['size']:,} bytes; {max_bytes:,} are possible.")
        self._download(file_id, target)
        if target.stat().st_size != file["size"]:
            raise FileStorageUnavailableError(f"file {file_id} came incomplete")
        return SourceName(file["name"], file["extension"])

    def store(self, path: Path, name: SourceName, key: str) -> int:
        """Uploads a result and gives its file id; the same ``key`` gives the same file again.

        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: file-storage refuses the result.
        """
        with path.open("rb") as content:
            response = self._request(
                "POST",
                "/",
                files={"file": (f"result{name.extension}", content)},
                data={"name": name.name},
                headers={"Idempotency-Key": key},
            )
        if response.status_code != 201:
            raise SourceError(
                f"The file server refused the result: {response.json().get('detail', response.status_code)}"
            )
        return int(response.json()["id"])

    def ping(self) -> None:
        """:raises FileStorageUnavailableError: file-storage is not alive."""
        self._request("GET", "/healthz")

    def _download(self, file_id: int, target: Path) -> None:
        try:
            with self._http.stream("GET", f"/{file_id}/download") as response, target.open("wb") as file:
                if response.status_code != 200:
                    raise FileStorageUnavailableError(f"download of file {file_id} answered {response.status_code}")
                for chunk in response.iter_bytes(CHUNK):
                    file.write(chunk)
        except httpx.HTTPError as error:
            raise FileStorageUnavailableError(str(error)) from error

    def _request(self, method: str, path: str, **options: object) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)  # type: ignore[arg-type]  # passed through as they are
        except httpx.HTTPError as error:
            raise FileStorageUnavailableError(str(error)) from error
        if response.status_code >= 500 or response.status_code == 429:
            raise FileStorageUnavailableError(f"{method} {path} answered {response.status_code}")
        return response
