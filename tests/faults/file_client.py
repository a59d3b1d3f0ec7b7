"""Clients that upload, copy and delete files during failures, and remember acknowledged operations."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import httpx2

from tests.support.client import FILES, Served
from tests.support.stacks import FullStack

CONTENTS = [random.Random(size).randbytes(size) for size in (0, 1, 4096, 70_000, 2_000_000)]
"""Few contents, so that files share bytes, and blobs are deleted and recreated all the time."""
LARGE = random.Random(-1).randbytes(20_000_000)
"""Uploaded slowly, so that the server reads it while it arrives."""
CHUNK = 700_000
"""Bytes per request of a resumable upload."""
TUS = {"Tus-Resumable": "1.0.0"}
RETRY_SECONDS = 60
"""Maximum duration of a request's retries."""


class FileClient(threading.Thread):
    """A client that sends random requests; acknowledged operations must be visible at the end."""

    def __init__(self, stack: FullStack, seed: str) -> None:
        super().__init__()
        self.files: dict[int, bytes] = {}
        """The content of each file whose storing was acknowledged and that was not deleted."""
        self.deleted: set[int] = set()
        self.errors: list[str] = []
        """Unexpected responses, other than 503 and broken connections."""
        self._http = Served(stack.url).http
        self._rng = random.Random(seed)
        self._seed = seed
        self._uploads = 0
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()
        self.join()
        self._http.close()

    def run(self) -> None:
        weights: Mapping[Callable[[], None], int] = {
            self._put: 3,
            self._put_with_key: 3,
            self._post_form: 2,
            self._put_large: 1,
            self._post_large: 1,
            self._post_batch: 2,
            self._upload_in_chunks: 3,
            self._copy: 3,
            self._delete: 9,
            self._download: 5,
        }
        while not self._stopped.is_set():
            [action] = self._rng.choices(list(weights), list(weights.values()))
            try:
                action()
            except httpx2.TransportError:
                continue  # nothing was acknowledged
            except TimeoutError as error:
                self.errors.append(str(error))

    def _put(self) -> None:
        content = self._content()
        self._record(self._http.put(f"{FILES}/?name=put.bin", content=content), content)

    def _put_with_key(self) -> None:
        content = self._content()
        self._uploads += 1
        headers = {"Idempotency-Key": f"{self._seed}-{self._uploads}"}
        first, second = (
            self._retry(lambda: self._http.put(f"{FILES}/?name=key.bin", content=content, headers=headers))
            for _ in range(2)
        )
        self._record(first, content)
        if second.text != first.text:
            self.errors.append(f"the same key created {first.text} and {second.text}")

    def _post_form(self) -> None:
        content = self._content()
        self._record(self._http.post(f"{FILES}/", files={"file": ("form.bin", content)}), content)

    def _put_large(self) -> None:
        length = {"Content-Length": str(len(LARGE))}
        self._record(self._http.put(f"{FILES}/?name=large.bin", content=_slowly(LARGE), headers=length), LARGE)

    def _post_large(self) -> None:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
        form = head + LARGE + b"\r\n--x--\r\n"
        headers = {"Content-Length": str(len(form)), "Content-Type": "multipart/form-data; boundary=x"}
        self._record(self._http.post(f"{FILES}/", content=_slowly(form), headers=headers), LARGE)

    def _post_batch(self) -> None:
        contents = [self._content() for _ in range(3)]
        response = self._http.post(f"{FILES}/batch", files=[("file", ("batch.bin", content)) for content in contents])
        if self._has_status(response, 200):
            for entry, content in zip(response.json()["files"], contents, strict=True):
                self.files[entry["file"]["id"]] = content

    def _upload_in_chunks(self) -> None:
        content = self._content()
        length = {"Upload-Length": str(len(content))}
        created = self._http.post(f"{FILES}/uploads/", headers=TUS | length)
        if not self._has_status(created, 201):
            return
        location = created.headers["Location"]
        while True:
            state = self._retry(lambda: self._http.head(location, headers=TUS))
            if not self._has_status(state, 200):
                return
            if "Pixmill-File-Id" in state.headers:
                self.files[int(state.headers["Pixmill-File-Id"])] = content
                return
            start = int(state.headers["Upload-Offset"])
            headers = {"Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
            try:
                self._http.patch(location, content=content[start : start + CHUNK], headers=TUS | headers)
            except httpx2.TransportError:
                continue  # the next request queries the offset

    def _copy(self) -> None:
        if self.files:
            source = self._rng.choice(list(self.files))
            self._record(self._http.post(f"{FILES}/{source}/copy", json={"name": "copy"}), self.files[source])

    def _delete(self) -> None:
        if self.files:
            file_id = self._rng.choice(list(self.files))
            del self.files[file_id]
            response = self._retry(lambda: self._http.delete(f"{FILES}/{file_id}"))
            # If the response to a deletion is lost, the retry gets a 404.
            if response.status_code == 404 or self._has_status(response, 204):
                self.deleted.add(file_id)

    def _download(self) -> None:
        if self.files:
            file_id = self._rng.choice(list(self.files))
            response = self._http.get(f"{FILES}/{file_id}/download")
            if self._has_status(response, 200) and response.content != self.files[file_id]:
                self.errors.append(f"file {file_id} has other bytes")

    def _content(self) -> bytes:
        return self._rng.choice(CONTENTS)

    def _record(self, response: httpx2.Response, content: bytes) -> None:
        if self._has_status(response, 201):
            self.files[response.json()["id"]] = content

    def _has_status(self, response: httpx2.Response, status: int) -> bool:
        if response.status_code not in (status, 503):
            self.errors.append(
                f"{response.request.method} {response.request.url}: {response.status_code} {response.text}"
            )
        return response.status_code == status

    def _retry(self, send: Callable[[], httpx2.Response]) -> httpx2.Response:
        """Repeat a request until its response is final."""
        deadline = time.monotonic() + RETRY_SECONDS
        while time.monotonic() < deadline:
            try:
                response = send()
            except httpx2.TransportError:
                time.sleep(0.2)
                continue
            if response.status_code not in (409, 423, 503):
                return response
            time.sleep(0.2)
        raise TimeoutError(f"no final response in {RETRY_SECONDS} seconds")


def differences_from_expected(stack: FullStack, clients: Sequence[FileClient]) -> list[str]:
    """Return the differences between the stored files and the clients' expectations."""
    differences = []
    with Served(stack.url) as pixmill:
        listed = {file["id"] for file in pixmill.http.get(f"{FILES}/").json()}
        for client in clients:
            for file_id, content in client.files.items():
                response = pixmill.http.get(f"{FILES}/{file_id}/download")
                if (response.status_code, response.content) != (200, content):
                    differences.append(f"file {file_id}: {response.status_code}, {len(response.content)} bytes")
            differences += [f"file {file_id} was deleted" for file_id in client.deleted & listed]
    return differences


def _slowly(body: bytes) -> Iterator[bytes]:
    """Yield the body with a pause, so that the server starts to read before the rest has arrived."""
    yield body[:-1000]
    time.sleep(0.2)
    yield body[-1000:]
