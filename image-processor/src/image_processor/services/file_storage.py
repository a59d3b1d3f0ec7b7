"""The client of file-storage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx

CHUNK = 256 * 1024


class FileStorageUnavailableError(Exception):
    """file-storage did not answer, or answered that it cannot now; trying again may help."""


class SourceError(Exception):
    """A file is gone or too large, or the result is refused; trying again does not help."""


class ResultRevokedError(Exception):
    """The result's key was revoked: nobody waits for it any more."""


class SourceFile(NamedTuple):
    """What a task needs to know of its source."""

    name: str
    extension: str
    sha256: str


class NewFile(NamedTuple):
    """A file to be stored.

    :param name: with its extension.
    :param key: its idempotency key.
    """

    path: Path
    name: str
    key: str


class FileStorage:
    """Talks to file-storage through ``http``, whose base URL is ``…/api/file-server``."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def find(self, file_ids: Sequence[int]) -> Mapping[int, SourceFile]:
        """Those of ``file_ids`` that are files.

        :raises FileStorageUnavailableError: try again later.
        """
        response = self._request("POST", "/lookup", json={"ids": list(file_ids)})
        return {
            file["id"]: SourceFile(file["name"], file["extension"], file["sha256"]) for file in response.json()["files"]
        }

    def fetch(self, file_id: int, target: Path, max_bytes: int) -> None:
        """Writes the file's bytes to ``target``.

        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: there is no such file, or it has more than ``max_bytes``.
        """
        try:
            with self._http.stream("GET", f"/{file_id}/download") as response, target.open("wb") as file:
                size = _announced_size(response, file_id, max_bytes)
                for chunk in response.iter_raw(CHUNK):
                    file.write(chunk)
        except httpx.HTTPError as error:
            raise FileStorageUnavailableError(str(error)) from error
        if target.stat().st_size != size:
            raise FileStorageUnavailableError(f"file {file_id} came incomplete")

    def store(self, files: Sequence[NewFile]) -> Sequence[int | Exception]:
        """Uploads results and gives each one's file id; the same key gives the same file again.

        An earlier attempt that stored its result and died has made it perhaps with another version of an encoder: that
        result is as good, and a task has only one.

        :returns: in the place of a file that was not stored, why: :class:`FileStorageUnavailableError`, where trying
            again later may help; :class:`SourceError`, it is refused; :class:`ResultRevokedError`, its key was revoked.
        """
        return [self._store(file) for file in files]

    def _store(self, file: NewFile) -> int | Exception:
        headers = {"Idempotency-Key": file.key, "Content-Length": str(file.path.stat().st_size)}
        try:
            with file.path.open("rb") as content:
                response = self._request("PUT", "/", params={"name": file.name}, content=content, headers=headers)
            return self._created_id(response, file.key)
        except (FileStorageUnavailableError, SourceError, ResultRevokedError) as error:
            return error

    def copy(self, file_id: int, name: str, extension: str, key: str) -> int | None:
        """A new file with the bytes of ``file_id``; ``None`` where that is gone.

        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: file-storage refuses.
        :raises ResultRevokedError: the key was revoked.
        """
        response = self._request(
            "POST",
            f"/{file_id}/copy",
            json={"name": name, "extension": extension},
            headers={"Idempotency-Key": key},
        )
        return None if response.status_code == 404 else self._created_id(response, key)

    def revoke(self, key: str) -> None:
        """Deletes what was uploaded with ``key``, and refuses what will be.

        :raises FileStorageUnavailableError: try again later.
        """
        self._request("DELETE", f"/idempotency-keys/{key}")

    def ping(self) -> None:
        """:raises FileStorageUnavailableError: file-storage is not alive."""
        self._request("GET", "/healthz")

    def _created_id(self, response: httpx.Response, key: str) -> int:
        if response.status_code == 201:
            return int(response.json()["id"])
        problem = response.json()
        match problem.get("type"):
            case "urn:pixmill:problem:idempotency-key-revoked":
                raise ResultRevokedError
            case "urn:pixmill:problem:idempotency-key-reused":
                return self._made_with(key)
        if response.status_code == 409:
            raise FileStorageUnavailableError(str(problem.get("detail")))
        raise SourceError(f"The file server refused the result: {problem.get('detail', response.status_code)}")

    def _made_with(self, key: str) -> int:
        response = self._request("GET", f"/idempotency-keys/{key}")
        if response.status_code != 200:
            raise FileStorageUnavailableError(f"the result of {key} is gone")
        return int(response.json()["id"])

    def _request(self, method: str, path: str, **options: object) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)  # type: ignore[arg-type]  # passed through as they are
        except httpx.HTTPError as error:
            raise FileStorageUnavailableError(str(error)) from error
        if response.status_code >= 500 or response.status_code == 429:
            raise FileStorageUnavailableError(f"{method} {path} answered {response.status_code}")
        return response


def _announced_size(response: httpx.Response, file_id: int, max_bytes: int) -> int:
    if response.status_code == 404:
        raise SourceError(f"File {file_id} does not exist any more.")
    if response.status_code != 200 or "Content-Length" not in response.headers:
        raise FileStorageUnavailableError(f"download of file {file_id} answered {response.status_code}")
    size = int(response.headers["Content-Length"])
    if size > max_bytes:
        raise SourceError(f"File {file_id} has {size:,} bytes; {max_bytes:,} are possible.")
    return size
