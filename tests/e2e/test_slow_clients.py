"""Slow clients do not delay others: downloads on both stacks, everything else only behind nginx."""

import os
import resource
import select
import socket
import time
from collections.abc import Iterator, Sequence
from functools import cache

import psutil
import pytest

from tests.support.client import FILES, Served
from tests.support.processes import children_of
from tests.support.slow_clients import (
    SLOW_CLIENTS,
    SLOW_UPLOAD,
    archive_request,
    download_request,
    resumable_upload,
    slow_clients,
)
from tests.support.stacks import FullStack, Stack
from tests.support.waiting import STATE_SECONDS

THOUSANDS = 500 + 1024 * (os.cpu_count() or 1)
"""More than 1,024 per core, the limit in nginx's example configurations."""

IDLE_CPU_SECONDS = 0.1
"""Maximum CPU time per second of a service's idle processes."""

SINCE_2019 = "If-Modified-Since: Tue, 01 Jan 2019 00:00:00 GMT"


def test_slow_uploads_do_not_block_others(full: FullStack) -> None:
    with slow_clients(full, [SLOW_UPLOAD] * SLOW_CLIENTS) as slow, Served(full.url) as client:
        assert_serves(client, slow)


def test_slow_resumable_uploads_do_not_block_others(full: FullStack) -> None:
    with Served(full.url) as client:
        begin = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000000"}
        urls = [client.http.post(f"{FILES}/uploads/", headers=begin).headers["Location"] for _ in range(SLOW_CLIENTS)]
        with slow_clients(full, [resumable_upload(url) for url in urls]) as slow:
            # A single process reads all large bodies.
            assert_serves(client, slow, bytes(12_000_000))

            refused = [connection for connection in slow if was_answered(connection)]
            assert all(connection.recv(12) == b"HTTP/1.1 503" for connection in refused)
            assert len(refused) < SLOW_CLIENTS


def was_answered(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


@pytest.fixture
def many_files() -> Iterator[None]:
    """Raise this process's limit of open files to the maximum."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_thousands_of_incomplete_requests_block_nobody(full: FullStack) -> None:
    with slow_clients(full, ["GET / HTTP/1.1\r\n"] * THOUSANDS), Served(full.url) as client:
        assert client.http.get(f"{FILES}/?limit=1").status_code == 200


@pytest.mark.both_stacks
@pytest.mark.parametrize(
    "header",
    [
        "Accept: */*",
        "If-Match: *\r\nRange: bytes=0-0,9-",
        *(
            pytest.param(other, marks=pytest.mark.thorough)
            for other in (
                "Range: bytes=1-",
                "Range: BYTES=1-",
                "Range: bytes=0-0,9-",
                "If-Match: *",
                SINCE_2019,
                f"{SINCE_2019}\r\nRange: bytes=1-",
            )
        ),
    ],
)
def test_slow_downloads_do_not_block_others(stack: Stack, header: str) -> None:
    request = download_request(large_file(stack.url), header)
    with slow_clients(stack, [request] * SLOW_CLIENTS) as slow, Served(stack.url) as client:
        for connection in slow:
            assert connection.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 206")

        assert_serves(client, slow)


def test_slow_archives_do_not_block_others(full: FullStack) -> None:
    request = archive_request(large_file(full.url))
    with slow_clients(full, [request] * SLOW_CLIENTS) as slow, Served(full.url) as client:
        assert_serves(client, slow)

        assert {connection.recv(12) for connection in slow} == {b"HTTP/1.1 200", b"HTTP/1.1 503"}


@pytest.mark.thorough
@pytest.mark.usefixtures("long_list")
def test_slow_readers_of_a_list_do_not_block_others(full: FullStack) -> None:
    head = f"GET {FILES}/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with slow_clients(full, [head] * 40) as slow, Served(full.url) as client:
        await_idle(full)
        assert_serves(client, slow)

        assert {connection.recv(12) for connection in slow} == {b"HTTP/1.1 200"}


def await_idle(stack: FullStack) -> None:
    """Wait until the service has built the lists, which loads the machine; no client reads them yet."""
    processes = [psutil.Process(number) for number in children_of(stack.file_storage.popen.pid)]

    def seconds_of_work() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    before = seconds_of_work()
    time.sleep(1)
    while (now := seconds_of_work()) - before > IDLE_CPU_SECONDS:
        before = now
        time.sleep(1)


@pytest.fixture(scope="module")
def long_list(full: FullStack) -> None:
    """Store enough files for their list to exceed the socket buffers."""
    with Served(full.url) as client:
        for number in range(1000):
            client.files.upload(b"listed", name=f"{number}.txt", comment="c" * 10_000)


@cache
def large_file(url: str) -> int:
    """Return the id of a file on the stack at this URL that exceeds the socket buffers."""
    with Served(url) as client:
        return client.files.upload(os.urandom(30_000_000), name="large.bin").id


def assert_serves(client: Served, slow: Sequence[socket.socket], content: bytes = b"quick") -> None:
    """Upload files while the slow clients are connected; ``bench.waits`` measures the duration.

    A blocked server would recover after a minute by closing the slow connections, so these must still be open or have
    been refused with 503.
    """
    time.sleep(0.5)
    client.http.timeout = STATE_SECONDS
    for _ in range(10):
        client.http.post(f"{FILES}/", files={"file": ("quick.bin", content)}).raise_for_status()

    held = {connection.raddr for connection in psutil.net_connections("tcp") if connection.pid}
    closed = [connection for connection in slow if connection.getsockname() not in held]
    assert all(connection.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 503" for connection in closed)
