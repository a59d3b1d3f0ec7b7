"""The worker's HTTP client of file-storage."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx2
from service_kit.access.gate import OWNER_HEADER, SEES_HEADER
from service_kit.problems import TYPES
from service_kit.texts import Sentence, counted, sentence

from image_processor.services.causes import Cause

RECEIVE_BYTES = 256 * 1024
"""Maximum number of bytes read from a response at a time."""

SMALL_BYTES = 512 * 1024
"""Results above this size get a request of their own, so that file-storage need not parse a form."""

MAX_FORM_BYTES = 4 * 1024 * 1024
"""Maximum size of the results in one form; all of them are sent again if the connection breaks."""


SOURCE_ID, TASK_ID, BATCH_ID = "X-Pixmill-Source-Id", "X-Pixmill-Task-Id", "X-Pixmill-Batch-Id"
"""Headers of a request for a single file that identify the task of the result."""


class FileStorageUnavailableError(Exception):
    """file-storage did not respond, or responded that it is unavailable; a retry may help."""


class SourceError(Exception):
    """A file is gone or too large, or the result was refused; a retry does not help."""

    def __init__(self, detail: str, cause: Cause = Cause.FILE_GONE) -> None:
        super().__init__(detail)
        self.cause = cause


class ResultRevokedError(Exception):
    """The result's key was revoked, because no task needs the result any more."""


class SourceFile(NamedTuple):
    """The properties of a source that a task needs."""

    name: str
    extension: str
    sha256: str


class Provenance(NamedTuple):
    """Describes how a result was made, and how long it is kept.

    :param expires_in: seconds after which file-storage deletes the result; ``None`` keeps it.
    """

    source_id: int | None = None
    task_id: int | None = None
    expires_in: int | None = None
    batch_id: int | None = None

    def fields(self) -> dict[str, int]:
        """Return the known values under file-storage's field names."""
        return {name: value for name, value in self._asdict().items() if value is not None}


NO_PROVENANCE = Provenance()


class NewFile(NamedTuple):
    """A file to store.

    :param name: the file's name with its extension.
    :param key: its idempotency key.
    """

    path: Path
    name: str
    key: str
    provenance: Provenance = NO_PROVENANCE


class NewCopy(NamedTuple):
    """A copy to make of a file.

    :param name: the name of the copy; ``extension`` is the copy's as well.
    :param key: its idempotency key.
    """

    file_id: int
    name: str
    extension: str
    key: str
    provenance: Provenance = NO_PROVENANCE


class FileStorage:
    """Sends requests to file-storage through ``http``, whose base URL is ``…/api/file-server``.

    :param headers: sent with every request.
    """

    def __init__(self, http: httpx2.Client, headers: Mapping[str, str] | None = None) -> None:
        self._http = http
        self._headers = dict(headers or {})

    def acting_for(self, owner: str, *, sees_all: bool = True) -> "FileStorage":
        """Return a client whose new files and idempotency keys belong to ``owner``.

        :param sees_all: whether the client may use files of every owner. Workers may: access was checked when the task
            was created.
        """
        headers = {OWNER_HEADER: owner, **({SEES_HEADER: "all"} if sees_all else {})}
        return FileStorage(self._http, headers)

    def find(self, file_ids: Sequence[int]) -> Mapping[int, SourceFile]:
        """Return the existing files among ``file_ids``.

        :raises FileStorageUnavailableError: try again later.
        """
        response = self._request("POST", "/lookup", json={"ids": list(file_ids)})
        try:
            files = response.json()["files"]
        except ValueError as error:
            raise FileStorageUnavailableError("the answer to a lookup breaks off") from error
        return {file["id"]: SourceFile(file["name"], file["extension"], file["sha256"]) for file in files}

    def fetch(self, file_id: int, target: Path, max_bytes: int) -> None:
        """Write the file's bytes to ``target``.

        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: the file does not exist, or it is larger than ``max_bytes``.
        """
        try:
            with (
                self._http.stream("GET", f"/{file_id}/download", headers=self._headers) as response,
                target.open("wb") as file,
            ):
                size = _announced_size(response, file_id, max_bytes)
                for chunk in response.iter_raw(RECEIVE_BYTES):
                    file.write(chunk)
        except httpx2.HTTPError as error:
            raise FileStorageUnavailableError(str(error)) from error
        if target.stat().st_size != size:
            raise FileStorageUnavailableError(f"the download of file {file_id} is incomplete")

    def store(self, files: Sequence[NewFile]) -> Sequence[int | Exception]:
        """Upload results and return their file ids; the same key always returns the same file.

        If an earlier attempt stored different bytes with the key, for example from another encoder version, that
        earlier result is kept.

        :returns: for each file its id, or the error: :class:`FileStorageUnavailableError` if a retry may help;
            :class:`SourceError` if the file was refused; :class:`ResultRevokedError` if its key was revoked.
        """
        results: dict[NewFile, int | Exception] = {}
        for group in _groups(files):
            results.update(zip(group, self._store_in_one_form(group) or map(self._store, group), strict=True))
        return [results[file] for file in files]

    def _store_in_one_form(self, files: Sequence[NewFile]) -> Sequence[int | Exception] | None:
        """Store files in one request; return ``None`` if it is refused as a whole and each file must be sent alone."""
        if len(files) == 1:
            return None
        fields = json.dumps(
            [{"name": file.name, "idempotency_key": file.key, **file.provenance.fields()} for file in files]
        )
        try:
            with ExitStack() as stack:
                parts = [("file", ("result", stack.enter_context(file.path.open("rb")))) for file in files]
                response = self._request("POST", "/batch", files=parts, data={"json": fields})
        except FileStorageUnavailableError as error:
            return [error] * len(files)
        if response.status_code != 200:
            return None
        return self._results_of(response, [file.key for file in files])

    def _store(self, file: NewFile) -> int | Exception:
        headers = {"Idempotency-Key": file.key, "Content-Length": str(file.path.stat().st_size)}
        provenance = file.provenance
        ids = {SOURCE_ID: provenance.source_id, TASK_ID: provenance.task_id, BATCH_ID: provenance.batch_id}
        headers |= {name: str(number) for name, number in ids.items() if number is not None}
        expires_in = {} if provenance.expires_in is None else {"expires_in": provenance.expires_in}
        try:
            with file.path.open("rb") as content:
                named = {"name": file.name, **expires_in}
                response = self._request("PUT", "/", headers, params=named, content=content)
        except FileStorageUnavailableError as error:
            return error
        return self._single_result(response, file.key)

    def copy(self, copies: Sequence[NewCopy]) -> Sequence[int | Exception]:
        """Create copies of files, at most 100 per request.

        :returns: for each copy its file id or the error, as :meth:`store`.
        """
        fields = [
            {
                "file_id": copy.file_id,
                "name": copy.name,
                "extension": copy.extension,
                "idempotency_key": copy.key,
                **copy.provenance.fields(),
            }
            for copy in copies
        ]
        try:
            response = self._request("POST", "/copies", json={"copies": fields})
        except FileStorageUnavailableError as error:
            return [error] * len(copies)
        if response.status_code != 200:
            return [self._single_result(response, copy.key) for copy in copies]
        return self._results_of(response, [copy.key for copy in copies])

    def revoke(self, key: str) -> None:
        """Delete the file that was uploaded with ``key``, and make file-storage refuse later uploads with it.

        :raises FileStorageUnavailableError: try again later.
        """
        response = self._request("DELETE", f"/idempotency-keys/{key}")
        # A 409 means that an upload with the key has just made a file, and no other refusal says that it has none.
        if response.status_code != 204:
            raise FileStorageUnavailableError(f"DELETE of the key {key} answered {response.status_code}")

    def ping(self) -> None:
        """Check the connection to file-storage.

        :raises FileStorageUnavailableError: file-storage is not available.
        """
        self._request("GET", "/healthz")

    def _results_of(self, response: httpx2.Response, keys: Sequence[str]) -> Sequence[int | Exception]:
        """Return each file's id or error from a response for many files."""
        return [
            self._result_of(entry.get("file"), entry.get("problem"), key)
            for entry, key in zip(response.json()["files"], keys, strict=True)
        ]

    def _single_result(self, response: httpx2.Response, key: str) -> int | Exception:
        if response.status_code == 201:
            return self._result_of(response.json(), None, key)
        return self._result_of(None, response.json(), key)

    def _result_of(
        self, file: Mapping[str, object] | None, problem: Mapping[str, object] | None, key: str
    ) -> int | Exception:
        if file is not None:
            return int(str(file["id"]))
        refused = problem or {}
        match refused.get("type"):
            case "urn:pixmill:problem:idempotency-key-revoked":
                return ResultRevokedError()
            case "urn:pixmill:problem:idempotency-key-reused":
                return self._earlier_result(key)
        if refused.get("status") == 409:
            return FileStorageUnavailableError(str(refused.get("detail")))
        detail = sentence("The file server refused the result: {reason}", reason=_reason_of(refused))
        return SourceError(detail, Cause.RESULT_REFUSED)

    def _earlier_result(self, key: str) -> int | Exception:
        try:
            response = self._request("GET", f"/idempotency-keys/{key}")
        except FileStorageUnavailableError as error:
            return error
        if response.status_code != 200:
            return FileStorageUnavailableError(f"the result of {key} is gone")
        return int(response.json()["id"])

    def _request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: object
    ) -> httpx2.Response:
        every = self._headers | dict(headers or {})
        try:
            response = self._http.request(method, path, headers=every, **options)  # type: ignore[arg-type]  # passed through unchanged
        except httpx2.HTTPError as error:
            raise FileStorageUnavailableError(str(error)) from error
        is_away = response.status_code >= 500 and not _exceeds_quota(response)
        if is_away or response.status_code == 429:
            raise FileStorageUnavailableError(f"{method} {path} answered {response.status_code}")
        return response


def _exceeds_quota(response: httpx2.Response) -> bool:
    """Return whether the quota is exceeded: until files are deleted, a retry would compute the result for nothing."""
    return response.status_code == 507 and '"urn:pixmill:problem:quota-exceeded"' in response.text


def _reason_of(problem: Mapping[str, object]) -> str:
    """Return file-storage's reason for refusing: its own English sentence, and what can be translated of it.

    Only the reason of a quota has a translation with all its values. For any other, a translation names the problem.
    """
    said, context = str(problem.get("detail")), problem.get("context")
    used, limit = (context.get("used"), context.get("limit")) if isinstance(context, Mapping) else (None, None)
    if (
        problem.get("type") != "urn:pixmill:problem:quota-exceeded"
        or not isinstance(used, int)
        or not isinstance(limit, int)
    ):
        code = str(problem.get("type")).removeprefix(TYPES)
        named = sentence("its answer has status {status} ({code}).", status=str(problem.get("status")), code=code)
        return Sentence(named.template, named.values, said)
    known = sentence(
        "the quota is used up ({used:,} of {limit:,}); delete files and empty the trash to make room.",
        used=used,
        limit=limit,
    )
    return Sentence(known.template, known.values, said)


def _groups(files: Sequence[NewFile]) -> Sequence[Sequence[NewFile]]:
    """Return the files grouped by request."""
    groups: list[list[NewFile]] = []
    room = 0
    for file in sorted(files, key=lambda file: file.path.stat().st_size):
        size = file.path.stat().st_size
        if not groups or size > min(room, SMALL_BYTES):
            groups.append([])
            room = MAX_FORM_BYTES
        groups[-1].append(file)
        room -= size
    return groups


def _announced_size(response: httpx2.Response, file_id: int, max_bytes: int) -> int:
    if response.status_code == 404:
        raise SourceError(sentence("File {file_id} no longer exists.", file_id=file_id))
    if response.status_code != 200 or "Content-Length" not in response.headers:
        raise FileStorageUnavailableError(f"download of file {file_id} answered {response.status_code}")
    size = int(response.headers["Content-Length"])
    check_size(size, max_bytes)
    return size


def check_size(size: int, max_bytes: int) -> None:
    """Check the size of a file.

    :raises SourceError: the file is larger than a worker may fetch.
    """
    if size > max_bytes:
        detail = counted(
            "A file has {size:,} byte; the limit is {max_bytes:,}.",
            "A file has {size:,} bytes; the limit is {max_bytes:,}.",
            "size",
            size=size,
            max_bytes=max_bytes,
        )
        raise SourceError(detail, Cause.FILE_TOO_LARGE)
