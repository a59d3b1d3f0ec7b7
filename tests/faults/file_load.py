"""Loads of random file operations during failures; they remember what was acknowledged."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO

import httpx2

from pixmill import File, PixmillError, UnreachableError
from tests.faults.task_load import PATIENT
from tests.support.client import FILES, Served
from tests.support.folders import temporary_folder
from tests.support.stacks import FullStack

CONTENTS = [random.Random(size).randbytes(size) for size in (0, 1, 4096, 70_000, 2_000_000)]
"""Few contents, so that files share bytes, and blobs are deleted and recreated all the time."""
LARGE = random.Random(-1).randbytes(20_000_000)
"""More than the client sends in one request."""


class FileLoad:
    """Random operations of the published client; at the end, exactly the acknowledged ones must be visible."""

    def __init__(self, url: str, seed: str) -> None:
        self.files: dict[int, bytes] = {}
        """The content of each file whose storing was acknowledged and that was not deleted."""
        self.deleted: set[int] = set()
        self.errors: list[str] = []
        """Failures that the client's retries should have prevented, and wrong answers."""
        self.folders: set[str] = set()
        """A new one for each operation of the client, which must have acknowledged every file in it."""
        self._pixmill = Served(url, retries=PATIENT)
        self._rng = random.Random(seed)
        self._seed = seed
        self._ended = threading.Event()
        self._paths = [temporary_folder(seed) / f"{number}.bin" for number in range(len(CONTENTS))]
        for path, content in zip(self._paths, CONTENTS, strict=True):
            path.write_bytes(content)

    def end(self) -> None:
        """Begin no further operation."""
        self._ended.set()

    def run(self) -> None:
        """Operate until the end."""
        with self._pixmill:
            while not self._ended.is_set():
                self._operate()

    def _operate(self) -> None:
        weights: Mapping[Callable[[], None], int] = {
            self._upload: 3,
            self._upload_with_key: 3,
            self._upload_several: 3,
            self._upload_in_chunks: 2,
            self._put_slowly: 1,
            self._post_slowly: 1,
            self._copy: 3,
            self._delete: 5,
            self._delete_permanently: 4,
            self._read: 5,
        }
        [action] = self._rng.choices(list(weights), list(weights.values()))
        try:
            action()
        except PixmillError as error:
            self.errors.append(f"{action.__name__}: {error!r}")

    def _upload(self) -> None:
        content = self._rng.choice(CONTENTS)
        self.files[self._uploaded(content, self._new_folder()).id] = content

    def _upload_with_key(self) -> None:
        self._upload_twice(self._rng.choice(CONTENTS))

    def _upload_in_chunks(self) -> None:
        try:
            self._upload_twice(LARGE)
        except UnreachableError:
            # The client does not create an upload again whose creation was not answered.
            return

    def _upload_twice(self, content: bytes) -> None:
        folder = self._new_folder()
        first = self._uploaded(content, folder, idempotency_key=folder)
        self.files[first.id] = content
        second = self._uploaded(content, folder, idempotency_key=folder)
        if second.id != first.id:
            self.errors.append(f"the same key created {first.id} and {second.id}")

    def _upload_several(self) -> None:
        chosen = dict(self._rng.sample(list(zip(self._paths, CONTENTS, strict=True)), 3))
        for outcome in self._pixmill.files.upload_many(chosen, folder=self._new_folder()):
            if outcome.file is None:
                self.errors.append(f"one of several: {outcome.error!r}")
            else:
                self.files[outcome.file.id] = chosen[outcome.source]

    def _copy(self) -> None:
        if self.files:
            source = self._rng.choice(list(self.files))
            copied = self._pixmill.files.copy(source, folder=self._new_folder())
            self.files[copied.id] = self.files[source]

    def _delete(self) -> None:
        if self.files:
            file_id = self._rng.choice(list(self.files))
            del self.files[file_id]
            self._pixmill.files.delete(file_id)
            self.deleted.add(file_id)

    def _delete_permanently(self) -> None:
        self._delete()
        if self.deleted:
            self._pixmill.files.empty_trash(self._rng.choice(list(self.deleted)))

    def _read(self) -> None:
        if self.files:
            file_id = self._rng.choice(list(self.files))
            if self._pixmill.files.read(file_id) != self.files[file_id]:
                self.errors.append(f"file {file_id} has other bytes")

    # The two below are bare HTTP: the published client sends every body without pauses, and with a key.
    def _put_slowly(self) -> None:
        self._send_once(lambda http: http.put(f"{FILES}/?name=slow.bin", content=_Slow(LARGE)))

    def _post_slowly(self) -> None:
        self._send_once(lambda http: http.post(f"{FILES}/", files={"file": ("slow.bin", _Slow(LARGE))}))

    def _send_once(self, send: Callable[[httpx2.Client], httpx2.Response]) -> None:
        try:
            response = send(self._pixmill.http)
        except httpx2.TransportError:
            return  # nothing was acknowledged
        if response.status_code == 201:
            self.files[response.json()["id"]] = LARGE
        elif response.status_code != 503:
            self.errors.append(f"{response.request.method}: {response.status_code} {response.text}")

    def _uploaded(self, content: bytes, folder: str, idempotency_key: str | None = None) -> File:
        return self._pixmill.files.upload(content, name="one.bin", folder=folder, idempotency_key=idempotency_key)

    def _new_folder(self) -> str:
        folder = f"{self._seed}-{len(self.folders)}"
        self.folders.add(folder)
        return folder


@contextmanager
def running(loads: Sequence[FileLoad]) -> Iterator[None]:
    """Run loads; at the end, wait for the last operation of each."""
    threads = [threading.Thread(target=load.run) for load in loads]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        # No load begins an operation while the last one of another is awaited.
        for load in loads:
            load.end()
        for thread in threads:
            thread.join()


def differences_from_expected(stack: FullStack, loads: Sequence[FileLoad]) -> list[str]:
    """Return the differences between the stored files and what the loads expect."""
    differences = []
    with Served(stack.url) as pixmill:
        listed = {file.id: file for file in pixmill.files.list()}
        for load in loads:
            own = {file.id for file in listed.values() if file.folder in load.folders}
            differences += [f"file {file_id} is stored, but not acknowledged" for file_id in own - load.files.keys()]
            for file_id, content in load.files.items():
                if file_id not in listed:
                    differences.append(f"file {file_id} is lost")
                elif pixmill.files.read(file_id) != content:
                    differences.append(f"file {file_id} has other bytes")
            differences += [f"file {file_id} was deleted" for file_id in load.deleted & listed.keys()]
    return differences


class _Slow(BytesIO):
    """A body that pauses before its end, so that the server starts to read before the rest has arrived."""

    def read(self, size: int | None = -1, /) -> bytes:
        position, piece = self.tell(), super().read(size)
        if position < len(self.getbuffer()) <= self.tell():
            time.sleep(0.2)
        return piece
