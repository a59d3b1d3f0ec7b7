"""The Python client: files in, tasks on them, results out.

>>> with Client("http://127.0.0.1:8080") as pixmill:
...     photo = pixmill.upload(Path("photo.jpg"))
...     [task] = pixmill.wait(pixmill.create_tasks([photo.id], "resize", {"width": 320}))
...     if task.result_id is not None:
...         pixmill.download(task.result_id, Path("small.jpg"))
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from ssl import SSLContext
from typing import IO, Self, TypeVar

import httpx2

FILES = "/api/file-server"
TASKS = "/api/image-processing"

ASKED_AT_ONCE = 1000
"""Task ids in one request for their states, at most."""
POLL_SECONDS = 0.05
MAX_POLL_SECONDS = 1.0

_Row = TypeVar("_Row", "File", "Task")


class PixmillError(Exception):
    """The server refused a request, with a problem document (RFC 9457).

    :ivar status: the HTTP status.
    :ivar kind: the last part of the problem's type, such as ``file-not-found``.
    """

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind


@dataclass(frozen=True)
class File:
    """A stored file.

    :ivar extension: with its dot, in lower case; empty where there is none.
    :ivar size: in bytes.
    :ivar sha256: of the bytes, in hexadecimal.
    :ivar width: of an image, in pixels as it is shown.
    """

    id: int
    name: str
    extension: str
    comment: str
    size: int
    sha256: str
    media_type: str
    width: int | None
    height: int | None


@dataclass(frozen=True)
class Task:
    """One algorithm on one file.

    :ivar result_id: the id of the file that came out, once the task is finished.
    :ivar status: ``pending``, ``processing``, ``finished``, ``error`` or ``cancelled``.
    :ivar error: why the task ended in error.
    """

    id: int
    source_id: int
    status: str
    algorithm: str
    result_id: int | None = None
    error: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ("finished", "error", "cancelled")


class Client:
    """A connection to one Pixmill; close it, or use it in a ``with`` block.

    :param url: such as ``http://127.0.0.1:8080``.
    :param timeout_seconds: for each step of a request: to connect, to send a piece, to receive one.
    :param verify: the certificates to trust; by default those of the machine.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 60, verify: SSLContext | bool = True) -> None:
        self.http = httpx2.Client(base_url=url, timeout=timeout_seconds, trust_env=False, verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    def upload(self, source: Path | bytes, name: str | None = None, comment: str = "") -> File:
        """Store a file.

        :param name: with its extension; by default that of the path.
        :raises ValueError: bytes without a name.
        :raises PixmillError: the server refuses it.
        """
        if isinstance(source, Path):
            # Streamed: the file may be larger than the memory.
            with source.open("rb") as content:
                return self._upload(name or source.name, content, comment)
        if name is None:
            raise ValueError("bytes have no name: give one")
        return self._upload(name, source, comment)

    def download(self, file_id: int, path: Path) -> None:
        """Write a file's bytes to ``path``, which nobody sees before they are all there.

        :raises PixmillError: there is no such file.
        """
        partial = path.with_name(f"{path.name}.part")
        try:
            with self.http.stream("GET", f"{FILES}/{file_id}/download") as response, partial.open("wb") as file:
                _check(response)
                for piece in response.iter_bytes():
                    file.write(piece)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def create_tasks(
        self, file_ids: Sequence[int], algorithm: str, params: Mapping[str, object] | None = None
    ) -> Sequence[int]:
        """Have the files processed; return one task id for each, in their order.

        :raises PixmillError: a file or the algorithm does not exist, or a parameter is wrong; then no task is made.
        """
        body = {"file_ids": list(file_ids), "algorithm": algorithm, "params": params}
        response = _check(self.http.post(f"{TASKS}/", json=body))
        return [int(task_id) for task_id in response.json()["task_ids"]]

    def tasks(self, task_ids: Sequence[int]) -> Sequence[Task]:
        """Return the tasks with these ids that exist, by id."""
        found: list[Task] = []
        for first in range(0, len(task_ids), ASKED_AT_ONCE):
            query = {"id": list(task_ids[first : first + ASKED_AT_ONCE])}
            found += [_row(Task, row) for row in _check(self.http.get(f"{TASKS}/", params=query)).json()]
        return found

    def wait(self, task_ids: Sequence[int], timeout_seconds: float = float("inf")) -> Iterator[Task]:
        """Give each task when it has ended, in the order in which they end.

        :raises TimeoutError: some have not ended in time.
        """
        left, pause = set(task_ids), POLL_SECONDS
        deadline = time.monotonic() + timeout_seconds
        while left:
            ended = [task for task in self.tasks(sorted(left)) if task.has_ended]
            yield from ended
            left -= {task.id for task in ended}
            if left and time.monotonic() > deadline:
                raise TimeoutError(f"{len(left)} of {len(task_ids)} tasks have not ended in {timeout_seconds:g} s")
            pause = POLL_SECONDS if ended else min(2 * pause, MAX_POLL_SECONDS)
            if left:
                time.sleep(pause)

    def _upload(self, name: str, content: bytes | IO[bytes], comment: str) -> File:
        response = self.http.post(f"{FILES}/", files={"file": (name, content)}, data={"comment": comment})
        return _row(File, _check(response).json())


def _check(response: httpx2.Response) -> httpx2.Response:
    if response.is_success:
        return response
    response.read()
    try:
        problem = response.json()
        raise PixmillError(response.status_code, problem["type"].rpartition(":")[2], problem["detail"])
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not from Pixmill: a proxy's own page, say.
        reason = f"{response.status_code} {response.reason_phrase}"
        raise PixmillError(response.status_code, "unknown", reason) from None


def _row(model: type[_Row], row: Mapping[str, object]) -> _Row:
    """Return the row with the keys that the model knows; a newer server may send more."""
    known = {field.name for field in fields(model)}
    return model(**{name: value for name, value in row.items() if name in known})  # type: ignore[arg-type]  # the server's schema has these types
