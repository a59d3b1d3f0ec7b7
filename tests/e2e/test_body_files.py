"""Bodies that nginx writes to files for file-storage: they are read or moved in place, and deleted afterwards."""

import hashlib
import os
import signal
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.support.client import FILES, Served, assert_problem, http
from tests.support.processes import children_of, frozen
from tests.support.stacks import FullStack
from tests.support.waiting import wait_until

CONTENT = os.urandom(3_000_000)
RELOADED = "chain reloading complete"
"""uWSGI's log line at the end of a reload; until then it ignores a SIGHUP."""


@pytest.fixture
def incoming(full: FullStack) -> Path:
    return full.files / "incoming"


def await_empty(folder: Path) -> None:
    wait_until(lambda: not list(folder.iterdir()), f"{folder} is empty")


def await_complete_body(folder: Path) -> Path:
    """Wait until the body in the folder is complete; return its path."""
    return wait_until(
        lambda: next((path for path in folder.iterdir() if path.stat().st_size == len(CONTENT)), None),
        "a complete body",
    )


def test_a_form_is_stored_and_its_body_file_deleted(full: FullStack, incoming: Path) -> None:
    with Served(full.url) as pixmill:
        stored = pixmill.http.post(f"{FILES}/", files={"file": ("large.bin", CONTENT)}).json()

    assert (stored["size"], stored["sha256"]) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    await_empty(incoming)


@pytest.mark.parametrize("path", ["/", "/batch"])
def test_a_refused_form_leaves_no_body_file(full: FullStack, incoming: Path, path: str) -> None:
    response = http.post(f"{full.url}{FILES}{path}", files={"picture": ("p.bin", CONTENT)})

    assert response.status_code == 400
    assert "'picture'" in response.json()["detail"]
    await_empty(incoming)


def test_a_form_that_breaks_off_leaves_no_body_file(full: FullStack, incoming: Path) -> None:
    def half() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="p.bin"\r\n\r\n' + CONTENT
        raise ConnectionAbortedError

    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(2 * len(CONTENT))}
    with pytest.raises(ConnectionAbortedError):
        http.post(f"{full.url}{FILES}/", content=half(), headers=headers)

    await_empty(incoming)


def test_the_client_must_send_a_lost_body_again(full: FullStack, incoming: Path) -> None:
    with ThreadPoolExecutor() as executor, frozen(children_of(full.file_storage.popen.pid)):
        answer = executor.submit(http.put, f"{full.url}{FILES}/gone.bin", content=CONTENT)
        await_complete_body(incoming).unlink()

    assert_problem(answer.result(), 503, "send the request again")
    assert "Retry-After" in answer.result().headers


LARGE = os.urandom(2**20) * 40
"""Large enough that nginx first checks the free space, and file-storage reads the body while it arrives."""
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="p.bin"\r\n\r\n'


class PausingBody:
    """A large body that pauses after half of its bytes until file-storage reads it."""

    def __init__(self, full: FullStack, head: bytes = b"", tail: bytes = b"") -> None:
        self.size = len(head) + len(LARGE) + len(tail)
        self._full = full
        self._content = head + LARGE + tail
        self.in_the_middle: Callable[[], object] = lambda: None

    def __iter__(self) -> Iterator[bytes]:
        yield self._content[: self.size // 2]
        wait_until(lambda: bodies_read(self._full), "the body is read while it arrives")
        self.in_the_middle()
        yield self._content[self.size // 2 :]


def bodies_read(full: FullStack) -> list[str]:
    """Return the paths of nginx's body files that file-storage processes have open."""
    workers = map(psutil.Process, children_of(full.file_storage.popen.pid))
    opened = [file.path for worker in workers for file in worker.open_files()]
    return [path for path in opened if path.startswith(f"{full.files}/incoming/")]


@pytest.fixture
def staging(full: FullStack) -> Path:
    folder = full.files / "staging"
    await_empty(folder)
    return folder


def put(full: FullStack, body: PausingBody, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    length = {"Content-Length": str(body.size)}
    return http.put(f"{full.url}{FILES}/large.bin", content=iter(body), headers=length | dict(headers or {}))


def post(full: FullStack, body: PausingBody, boundary: str = "x") -> httpx2.Response:
    headers = {"Content-Length": str(body.size), "Content-Type": f"multipart/form-data; boundary={boundary}"}
    return http.post(f"{full.url}{FILES}/", content=iter(body), headers=headers)


def assert_stored(full: FullStack, response: httpx2.Response) -> None:
    assert response.status_code == 201, response.text
    stored = response.json()
    assert (stored["size"], stored["sha256"]) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
    with Served(full.url) as pixmill:
        assert pixmill.files.read(stored["id"]) == LARGE


def test_a_large_body_is_read_while_it_arrives(full: FullStack, incoming: Path, staging: Path) -> None:
    response = put(full, PausingBody(full))

    assert_stored(full, response)
    await_empty(incoming)
    await_empty(staging)


def test_a_large_form_is_read_while_it_arrives(full: FullStack, incoming: Path, staging: Path) -> None:
    comment = b'\r\n--x\r\nContent-Disposition: form-data; name="comment"\r\n\r\nMine\r\n--x--\r\n'

    response = post(full, PausingBody(full, HEAD, comment))

    assert_stored(full, response)
    assert (response.json()["name"], response.json()["comment"]) == ("p", "Mine")
    await_empty(incoming)
    await_empty(staging)


def test_the_boundary_in_the_header_counts(full: FullStack, staging: Path) -> None:
    """The body starts with another boundary; everything before the declared one is a preamble (RFC 2046)."""
    boundary = "a-boundary-that-no-random-bytes-contain"
    form = HEAD.replace(b"--x", f"--{boundary}".encode()) + f"The file\r\n--{boundary}--\r\n".encode()
    body = PausingBody(full, HEAD, b"\r\n--x--\r\n" + form)

    response = post(full, body, boundary)

    assert response.status_code == 201, response.text
    assert response.json()["size"] == len("The file")
    await_empty(staging)


def test_a_raw_body_that_looks_like_a_form_is_the_file(full: FullStack, staging: Path) -> None:
    body = PausingBody(full, HEAD, b"\r\n--x--\r\n")

    response = put(full, body)

    assert response.status_code == 201, response.text
    assert response.json()["size"] == body.size
    await_empty(staging)


@pytest.mark.parametrize("head", [b"", HEAD], ids=["raw", "form"])
def test_a_large_body_that_breaks_off_leaves_nothing(
    full: FullStack, incoming: Path, staging: Path, head: bytes
) -> None:
    def hang_up() -> None:
        raise ConnectionAbortedError

    body = PausingBody(full, head)
    body.in_the_middle = hang_up

    with pytest.raises(ConnectionAbortedError):
        put(full, body)

    await_empty(incoming)
    await_empty(staging)


def test_a_large_body_with_another_digest_is_refused(full: FullStack, incoming: Path, staging: Path) -> None:
    other = f"sha-256=:{b64encode(hashlib.sha256(b'other').digest()).decode()}:"

    response = put(full, PausingBody(full), {"Content-Digest": other})

    assert_problem(response, 400, "changed in transit")
    await_empty(incoming)
    await_empty(staging)


@pytest.mark.thorough
@pytest.mark.parametrize("head", [b"", HEAD], ids=["raw", "form"])
def test_a_large_body_survives_a_reload_of_the_service(
    full: FullStack, incoming: Path, staging: Path, head: bytes
) -> None:
    log = full.folder / "file-storage.log"

    def replace() -> None:
        reloads = log.read_text().count(RELOADED)
        full.file_storage.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: log.read_text().count(RELOADED) > reloads, "the processes are replaced")

    body = PausingBody(full, head, b"\r\n--x--\r\n" if head else b"")
    body.in_the_middle = replace

    assert_stored(full, post(full, body) if head else put(full, body))

    await_empty(incoming)
    await_empty(staging)


def test_a_large_body_survives_killed_processes(full: FullStack, incoming: Path, staging: Path) -> None:
    master = full.file_storage.popen.pid

    def kill_all() -> None:
        before = children_of(master)
        for process in before:
            os.kill(process, signal.SIGKILL)
        wait_until(lambda: len(set(children_of(master)) - set(before)) == len(before), "the processes are replaced")

    body = PausingBody(full)
    body.in_the_middle = kill_all

    assert_stored(full, put(full, body))

    await_empty(incoming)
    await_empty(staging)


def test_a_client_cannot_name_a_body_file_by_another_spelling_of_the_url(full: FullStack, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    address = f"{full.url}{FILES.replace('file', '%66ile')}/?name=a.bin"

    headers = {"Content-Type": "text/plain", "X-Body-File": str(secret)}

    file = http.post(address, content=b"mine", headers=headers).json()

    assert "id" in file, file
    with Served(full.url) as client:
        assert client.files.read(file["id"]) == b"mine"
