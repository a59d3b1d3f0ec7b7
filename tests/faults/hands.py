"""Hands that put files in and take them out while things break, and remember what they were promised."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import httpx2

from tests.support.client import FILES, Pixmill
from tests.support.stacks import FullStack

CONTENTS = [random.Random(size).randbytes(size) for size in (0, 1, 4096, 70_000, 2_000_000)]
"""So few that files share their bytes, and that blobs are removed and come back all the time."""
LARGE = random.Random(-1).randbytes(20_000_000)
"""Read while it comes."""
PART = 700_000
TUS = {"Tus-Resumable": "1.0.0"}
AGAIN_SECONDS = 60


class Hand(threading.Thread):
    """One client: whatever it was answered must be true in the end."""

    def __init__(self, stack: FullStack, seed: str) -> None:
        super().__init__()
        self.files: dict[int, bytes] = {}
        """What it was told to be stored, and has not deleted."""
        self.deleted: set[int] = set()
        self.wrong: list[str] = []
        """What was answered otherwise than it should be, but for 503 and broken connections."""
        self._http = Pixmill(stack.url).http
        self._chance = random.Random(seed)
        self._seed = seed
        self._uploads = 0
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()
        self.join()
        self._http.close()

    def run(self) -> None:
        deeds: Mapping[Callable[[], None], int] = {
            self._put: 3,
            self._put_with_key: 3,
            self._post_form: 2,
            self._put_large: 1,
            self._post_large: 1,
            self._post_batch: 2,
            self._upload_in_parts: 3,
            self._copy: 3,
            self._delete: 9,
            self._download: 5,
        }
        while not self._stopped.is_set():
            [deed] = self._chance.choices(list(deeds), list(deeds.values()))
            try:
                deed()
            except httpx2.TransportError:
                continue  # nothing was promised
            except TimeoutError as error:
                self.wrong.append(str(error))

    def _put(self) -> None:
        content = self._content()
        self._note(self._http.put(f"{FILES}/?name=put.bin", content=content), content)

    def _put_with_key(self) -> None:
        content = self._content()
        self._uploads += 1
        headers = {"Idempotency-Key": f"{self._seed}-{self._uploads}"}
        first, second = (
            self._insist(lambda: self._http.put(f"{FILES}/?name=key.bin", content=content, headers=headers))
            for _ in range(2)
        )
        self._note(first, content)
        if second.text != first.text:
            self.wrong.append(f"one key made {first.text} and {second.text}")

    def _post_form(self) -> None:
        content = self._content()
        self._note(self._http.post(f"{FILES}/", files={"file": ("form.bin", content)}), content)

    def _put_large(self) -> None:
        length = {"Content-Length": str(len(LARGE))}
        self._note(self._http.put(f"{FILES}/?name=large.bin", content=_slowly(LARGE), headers=length), LARGE)

    def _post_large(self) -> None:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
        form = head + LARGE + b"\r\n--x--\r\n"
        headers = {"Content-Length": str(len(form)), "Content-Type": "multipart/form-data; boundary=x"}
        self._note(self._http.post(f"{FILES}/", content=_slowly(form), headers=headers), LARGE)

    def _post_batch(self) -> None:
        contents = [self._content() for _ in range(3)]
        response = self._http.post(f"{FILES}/batch", files=[("file", ("batch.bin", content)) for content in contents])
        if self._is_answered(response, 200):
            for answer, content in zip(response.json()["files"], contents, strict=True):
                self.files[answer["file"]["id"]] = content

    def _upload_in_parts(self) -> None:
        content = self._content()
        length = {"Upload-Length": str(len(content))}
        begun = self._http.post(f"{FILES}/uploads/", headers=TUS | length)
        if not self._is_answered(begun, 201):
            return
        place = begun.headers["Location"]
        while True:
            state = self._insist(lambda: self._http.head(place, headers=TUS))
            if not self._is_answered(state, 200):
                return
            if "Pixmill-File-Id" in state.headers:
                self.files[int(state.headers["Pixmill-File-Id"])] = content
                return
            start = int(state.headers["Upload-Offset"])
            headers = {"Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
            try:
                self._http.patch(place, content=content[start : start + PART], headers=TUS | headers)
            except httpx2.TransportError:
                continue  # how much has come is asked next

    def _copy(self) -> None:
        if self.files:
            source = self._chance.choice(list(self.files))
            self._note(self._http.post(f"{FILES}/{source}/copy", json={"name": "copy"}), self.files[source])

    def _delete(self) -> None:
        if self.files:
            file_id = self._chance.choice(list(self.files))
            del self.files[file_id]
            response = self._insist(lambda: self._http.delete(f"{FILES}/{file_id}"))
            # Where an answer did not arrive, the next one is that there is no such file.
            if response.status_code == 404 or self._is_answered(response, 204):
                self.deleted.add(file_id)

    def _download(self) -> None:
        if self.files:
            file_id = self._chance.choice(list(self.files))
            response = self._http.get(f"{FILES}/{file_id}/download")
            if self._is_answered(response, 200) and response.content != self.files[file_id]:
                self.wrong.append(f"file {file_id} has other bytes")

    def _content(self) -> bytes:
        return self._chance.choice(CONTENTS)

    def _note(self, response: httpx2.Response, content: bytes) -> None:
        if self._is_answered(response, 201):
            self.files[response.json()["id"]] = content

    def _is_answered(self, response: httpx2.Response, status: int) -> bool:
        if response.status_code not in (status, 503):
            self.wrong.append(
                f"{response.request.method} {response.request.url}: {response.status_code} {response.text}"
            )
        return response.status_code == status

    def _insist(self, ask: Callable[[], httpx2.Response]) -> httpx2.Response:
        """Asks until there is an answer that is more than "try again"."""
        deadline = time.monotonic() + AGAIN_SECONDS
        while time.monotonic() < deadline:
            try:
                response = ask()
            except httpx2.TransportError:
                time.sleep(0.2)
                continue
            if response.status_code not in (409, 423, 503):
                return response
            time.sleep(0.2)
        raise TimeoutError(f"no answer came in {AGAIN_SECONDS} seconds")


def _slowly(body: bytes) -> Iterator[bytes]:
    """With time to begin to read it before it has come."""
    yield body[:-1000]
    time.sleep(0.2)
    yield body[-1000:]
