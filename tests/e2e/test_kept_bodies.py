"""Bodies that nginx keeps for file-storage: read where they lie, and gone when they were."""

import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.client import FILES, Pixmill, assert_problem
from tests.processes import children_of, frozen
from tests.stacks import FullStack

CONTENT = os.urandom(3_000_000)


@pytest.fixture
def incoming(full: FullStack) -> Path:
    return full.files / "incoming"


def await_empty(folder: Path) -> None:
    deadline = time.monotonic() + 5
    while list(folder.iterdir()):
        assert time.monotonic() < deadline, list(folder.iterdir())
        time.sleep(0.05)


def await_whole(folder: Path) -> Path:
    """The body in the folder, once all of it has come."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for path in folder.iterdir():
            if path.stat().st_size == len(CONTENT):
                return path
        time.sleep(0.05)
    raise AssertionError("no body came")


def test_a_form_is_the_file_it_has_and_leaves_nothing(full: FullStack, incoming: Path) -> None:
    with Pixmill(full.url) as pixmill:
        stored = pixmill.upload("large.bin", CONTENT)

    assert (stored["size"], stored["sha256"]) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    await_empty(incoming)


@pytest.mark.parametrize("path", ["/", "/batch"])
def test_a_refused_form_leaves_nothing(full: FullStack, incoming: Path, path: str) -> None:
    response = httpx2.post(f"{full.url}{FILES}{path}", files={"picture": ("p.bin", CONTENT)}, trust_env=False)

    assert response.status_code == 400
    assert "'picture'" in response.json()["detail"]
    await_empty(incoming)


def test_a_form_that_breaks_off_leaves_nothing(full: FullStack, incoming: Path) -> None:
    def half() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="p.bin"\r\n\r\n' + CONTENT
        raise ConnectionAbortedError

    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(2 * len(CONTENT))}
    with pytest.raises(ConnectionAbortedError):
        httpx2.post(f"{full.url}{FILES}/", content=half(), headers=headers, trust_env=False)

    await_empty(incoming)


def test_a_body_that_is_gone_is_to_be_sent_again(full: FullStack, incoming: Path) -> None:
    with ThreadPoolExecutor() as aside, frozen(children_of(full.file_storage.popen.pid)):
        answer = aside.submit(httpx2.put, f"{full.url}{FILES}/gone.bin", content=CONTENT, trust_env=False)
        await_whole(incoming).unlink()

    assert_problem(answer.result(), 503, "send the request again")
    assert "Retry-After" in answer.result().headers
