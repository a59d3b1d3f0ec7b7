"""Files whose bytes are missing on disk: clients get a problem, and the log an entry."""

import os
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.client import FILES, Served, assert_problem
from tests.support.raw_http import CLOSE, received
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.both_stacks


@pytest.fixture(params=[Path.unlink, partial(os.truncate, length=5)], ids=["missing", "shortened"])
def lost(stack: Stack, pixmill: Served, request: pytest.FixtureRequest) -> Iterator[object]:
    """Yield the id of a file whose bytes are missing or truncated."""
    file = pixmill.files.upload(f"lost at {time.time_ns()}".encode(), name="lost.txt")
    [blob] = (stack.files / "blobs").rglob(str(file.sha256))
    request.param(blob)
    yield file.id
    pixmill.http.delete(f"{FILES}/{file.id}").raise_for_status()


def log_of(stack: Stack) -> str:
    return "".join(path.read_text(errors="replace") for path in stack.folder.glob("*.log"))


@pytest.mark.parametrize("ranges", [None, "bytes=0-1", "bytes=0-1,3-4", "bytes=0-1,4-8"])
def test_a_download_says_that_the_bytes_are_lost(pixmill: Served, lost: object, ranges: str | None) -> None:
    response = pixmill.http.get(f"{FILES}/{lost}/download", headers={"Range": ranges} if ranges else {})

    assert_problem(response, 404, "are lost")


def test_an_archive_ends_before_its_length_with_one_line_in_the_log(stack: Stack, lost: object) -> None:
    before = errors_in(stack)

    came = received(stack.url, f"GET {FILES}/archive?id={lost} HTTP/1.1\r\nHost: localhost\r\n{CLOSE}".encode())

    head, _, body = came.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
    assert length is not None, head
    assert len(body) < int(length[1])
    # The client sees the end of the connection before the server writes its line.
    [line] = wait_until(lambda: errors_in(stack)[len(before) :], "the error is in the log")
    assert f"The bytes of file {lost} are lost" in line


def errors_in(stack: Stack) -> list[str]:
    """Return the errors and stack traces in the services' logs."""
    return [line for line in log_of(stack).splitlines() if '"level": "error"' in line or "Traceback" in line]
