"""A file whose bytes are gone from the disk: its clients are told so, and the log has one line for it."""

import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.client import FILES, Pixmill, assert_problem
from tests.stacks import Stack


@pytest.fixture(params=["embedded", "full"])
def stack(request: pytest.FixtureRequest) -> Stack:
    started: Stack = request.getfixturevalue(request.param)
    return started


@pytest.fixture
def pixmill(stack: Stack) -> Iterator[Pixmill]:
    with Pixmill(stack.url) as client:
        yield client


@pytest.fixture
def lost(stack: Stack, pixmill: Pixmill) -> object:
    """The id of a file without bytes."""
    file = pixmill.upload("lost.txt", f"lost at {time.time_ns()}".encode())
    [blob] = (stack.files / "blobs").rglob(str(file["sha256"]))
    blob.unlink()
    return file["id"]


@pytest.mark.parametrize("ranges", [None, "bytes=0-1", "bytes=0-1,3-4"])
def test_a_download_says_that_the_bytes_are_lost(pixmill: Pixmill, lost: object, ranges: str | None) -> None:
    response = pixmill.http.get(f"{FILES}/{lost}/download", headers={"Range": ranges} if ranges else {})

    assert_problem(response, 404, "are lost")


def test_an_archive_ends_before_its_length_and_leaves_no_stack_trace(
    stack: Stack, pixmill: Pixmill, lost: object
) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        pixmill.http.get(f"{FILES}/archive", params={"id": str(lost)})

    log = "".join(path.read_text(errors="replace") for path in stack.folder.glob("*.log"))
    assert f"The bytes of file {lost} are lost" in log
    assert "Traceback" not in log
