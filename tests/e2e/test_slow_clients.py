"""Slow clients hold nobody else up: who takes a file on both stacks, all others where nginx stands in front."""

import os
import resource
import select
import socket
import time
from collections.abc import Iterator, Sequence
from functools import cache

import psutil
import pytest

from tests.support.client import FILES, Pixmill
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
"""More than 1,024 for each core, which nginx's examples have connections for."""

A_REST = 0.1
"""Seconds of the processor that a service's processes take in a second, at most, when they have nothing to do."""

SINCE_2019 = "If-Modified-Since: Tue, 01 Jan 2019 00:00:00 GMT"


def test_slow_uploads_leave_the_service_to_others(full: FullStack) -> None:
    with slow_clients(full, [SLOW_UPLOAD] * SLOW_CLIENTS) as slow, Pixmill(full.url) as client:
        assert_serves(client, slow)


def test_slow_resumable_uploads_leave_the_service_to_others(full: FullStack) -> None:
    with Pixmill(full.url) as client:
        begin = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000000"}
        urls = [client.http.post(f"{FILES}/uploads/", headers=begin).headers["Location"] for _ in range(SLOW_CLIENTS)]
        with slow_clients(full, [resumable_upload(url) for url in urls]) as slow:
            # One process reads all large ones.
            assert_serves(client, slow, bytes(12_000_000))

            refused = [one for one in slow if was_answered(one)]
            assert all(one.recv(12) == b"HTTP/1.1 503" for one in refused)
            assert len(refused) < SLOW_CLIENTS


def was_answered(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as this process may have at all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_thousands_who_do_not_say_what_they_want_keep_nobody_out(full: FullStack) -> None:
    with slow_clients(full, ["GET / HTTP/1.1\r\n"] * THOUSANDS), Pixmill(full.url) as client:
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
def test_slow_downloads_leave_the_service_to_others(stack: Stack, header: str) -> None:
    request = download_request(large_file(stack.url), header)
    with slow_clients(stack, [request] * SLOW_CLIENTS) as slow, Pixmill(stack.url) as client:
        for one in slow:
            assert one.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 206")

        assert_serves(client, slow)


def test_slow_archives_leave_the_service_to_others(full: FullStack) -> None:
    request = archive_request(large_file(full.url))
    with slow_clients(full, [request] * SLOW_CLIENTS) as slow, Pixmill(full.url) as client:
        assert_serves(client, slow)

        assert {one.recv(12) for one in slow} == {b"HTTP/1.1 200", b"HTTP/1.1 503"}


@pytest.mark.thorough
@pytest.mark.usefixtures("long_list")
def test_slow_readers_of_a_list_leave_the_service_to_others(full: FullStack) -> None:
    head = f"GET {FILES}/ HTTP/1.1\r\nHost: x\r\n\r\n"
    with slow_clients(full, [head] * 40) as slow, Pixmill(full.url) as client:
        await_rest(full)
        assert_serves(client, slow)

        assert {one.recv(12) for one in slow} == {b"HTTP/1.1 200"}


def await_rest(stack: FullStack) -> None:
    """Waits until the lists are made, which takes the machine for a while; nobody reads them yet."""
    processes = [psutil.Process(number) for number in children_of(stack.file_storage.popen.pid)]

    def seconds_of_work() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    before = seconds_of_work()
    time.sleep(1)
    while (now := seconds_of_work()) - before > A_REST:
        before = now
        time.sleep(1)


@pytest.fixture(scope="module")
def long_list(full: FullStack) -> None:
    """More files than a connection holds a list of."""
    with Pixmill(full.url) as client:
        for number in range(1000):
            client.upload(f"{number}.txt", b"listed", comment="c" * 10_000)


@cache
def large_file(url: str) -> int:
    """The id of a file on the stack at this URL that no buffer on the way holds."""
    with Pixmill(url) as client:
        return int(str(client.upload("large.bin", os.urandom(30_000_000))["id"]))


def assert_serves(client: Pixmill, slow: Sequence[socket.socket], content: bytes = b"quick") -> None:
    """Upload files while the server holds the slow clients' connections; ``bench.waits`` measures how long that takes.

    A server that serves nobody beside them serves again when it has let them go, which it does after a minute.
    """
    time.sleep(0.5)
    client.http.timeout = STATE_SECONDS
    for _ in range(10):
        client.upload("quick.bin", content)

    held = {connection.raddr for connection in psutil.net_connections("tcp") if connection.pid}
    let_go = [one for one in slow if one.getsockname() not in held]
    assert all(one.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 503" for one in let_go)
