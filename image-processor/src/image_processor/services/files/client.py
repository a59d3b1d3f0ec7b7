"""The client of file-storage."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx2

CHUNK = 256 * 1024

SMALL_BYTES = 512 * 1024
"""Larger results are sent alone: file-storage then need not read them out of a form."""
TOGETHER_BYTES = 4 * 1024 * 1024
"""What is sent together is sent again together, where the connection breaks."""


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


class NewCopy(NamedTuple):
    """A file to be copied, and what the copy is to be.

    :param key: its idempotency key.
    """

    file_id: int
    name: str
    extension: str
    key: str


class FileStorage:
    """Talks to file-storage through ``http``, whose base URL is ``…/api/file-server``."""

    def __init__(self, http: httpx2.Client) -> None:
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
        except httpx2.HTTPError as error:
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
        answers: dict[NewFile, int | Exception] = {}
        for group in _groups(files):
            answers.update(zip(group, self._store_together(group) or map(self._store, group), strict=True))
        return [answers[file] for file in files]

    def _store_together(self, files: Sequence[NewFile]) -> Sequence[int | Exception] | None:
        """In one request; ``None`` where it is refused as a whole, which tells nothing of any one file."""
        if len(files) == 1:
            return None
        told = json.dumps([{"name": file.name, "idempotency_key": file.key} for file in files])
        try:
            with ExitStack() as stack:
                parts = [("file", ("result", stack.enter_context(file.path.open("rb")))) for file in files]
                response = self._request("POST", "/batch", files=parts, data={"json": told})
        except FileStorageUnavailableError as error:
            return [error] * len(files)
        if response.status_code != 200:
            return None
        return self._each_created(response, [file.key for file in files])

    def _store(self, file: NewFile) -> int | Exception:
        headers = {"Idempotency-Key": file.key, "Content-Length": str(file.path.stat().st_size)}
        try:
            with file.path.open("rb") as content:
                response = self._request("PUT", "/", params={"name": file.name}, content=content, headers=headers)
        except FileStorageUnavailableError as error:
            return error
        return self._answered(response, file.key)

    def copy(self, copies: Sequence[NewCopy]) -> Sequence[int | Exception]:
        """New files with the bytes of others, at most 100.

        :returns: each one's file id, or in its place why it was not made, as :meth:`store`.
        """
        told = [
            {"file_id": copy.file_id, "name": copy.name, "extension": copy.extension, "idempotency_key": copy.key}
            for copy in copies
        ]
        try:
            response = self._request("POST", "/copies", json={"copies": told})
        except FileStorageUnavailableError as error:
            return [error] * len(copies)
        if response.status_code != 200:
            return [self._answered(response, copy.key) for copy in copies]
        return self._each_created(response, [copy.key for copy in copies])

    def revoke(self, key: str) -> None:
        """Deletes what was uploaded with ``key``, and refuses what will be.

        :raises FileStorageUnavailableError: try again later.
        """
        self._request("DELETE", f"/idempotency-keys/{key}")

    def ping(self) -> None:
        """:raises FileStorageUnavailableError: file-storage is not alive."""
        self._request("GET", "/healthz")

    def _each_created(self, response: httpx2.Response, keys: Sequence[str]) -> Sequence[int | Exception]:
        """What became of each of many files."""
        return [
            self._created(one.get("file"), one.get("problem"), key)
            for one, key in zip(response.json()["files"], keys, strict=True)
        ]

    def _answered(self, response: httpx2.Response, key: str) -> int | Exception:
        if response.status_code == 201:
            return self._created(response.json(), None, key)
        return self._created(None, response.json(), key)

    def _created(
        self, file: Mapping[str, object] | None, problem: Mapping[str, object] | None, key: str
    ) -> int | Exception:
        if file is not None:
            return int(str(file["id"]))
        refused = problem or {}
        match refused.get("type"):
            case "urn:pixmill:problem:idempotency-key-revoked":
                return ResultRevokedError()
            case "urn:pixmill:problem:idempotency-key-reused":
                return self._made_with(key)
        if refused.get("status") == 409:
            return FileStorageUnavailableError(str(refused.get("detail")))
        return SourceError(f"The file server refused the result: {refused.get('detail')}")

    def _made_with(self, key: str) -> int | Exception:
        try:
            response = self._request("GET", f"/idempotency-keys/{key}")
        except FileStorageUnavailableError as error:
            return error
        if response.status_code != 200:
            return FileStorageUnavailableError(f"the result of {key} is gone")
        return int(response.json()["id"])

    def _request(self, method: str, path: str, **options: object) -> httpx2.Response:
        try:
            response = self._http.request(method, path, **options)  # type: ignore[arg-type]  # passed through as they are
        except httpx2.HTTPError as error:
            raise FileStorageUnavailableError(str(error)) from error
        if response.status_code >= 500 or response.status_code == 429:
            raise FileStorageUnavailableError(f"{method} {path} answered {response.status_code}")
        return response


def _groups(files: Sequence[NewFile]) -> Sequence[Sequence[NewFile]]:
    """Which files are sent in one request."""
    groups: list[list[NewFile]] = []
    room = 0
    for file in sorted(files, key=lambda file: file.path.stat().st_size):
        size = file.path.stat().st_size
        if not groups or size > min(room, SMALL_BYTES):
            groups.append([])
            room = TOGETHER_BYTES
        groups[-1].append(file)
        room -= size
    return groups


def _announced_size(response: httpx2.Response, file_id: int, max_bytes: int) -> int:
    if response.status_code == 404:
        raise SourceError(f"File {file_id} does not exist any more.")
    if response.status_code != 200 or "Content-Length" not in response.headers:
        raise FileStorageUnavailableError(f"download of file {file_id} answered {response.status_code}")
    size = int(response.headers["Content-Length"])
    check_size(size, max_bytes)
    return size


def check_size(size: int, max_bytes: int) -> None:
    """:raises SourceError: a file has more bytes than a worker may fetch."""
    if size > max_bytes:
        raise SourceError(f"A file has {size:,} bytes; {max_bytes:,} are possible.")
