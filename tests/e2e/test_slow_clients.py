"""Clients that send or take bytes slowly hold nobody else up, where nginx stands in front."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.client import FILES, Pixmill
from tests.stacks import FullStack

SLOW_CLIENTS = 100
"""More than the service has threads."""


@contextmanager
def slow_clients(full: FullStack, sent: str) -> Iterator[list[socket.socket]]:
    """Connections on which so much was sent and from which nothing is read."""
    address = httpx.URL(full.url)
    with ExitStack() as opened:
        place = (address.host, address.port or 80)
        clients = [opened.enter_context(socket.create_connection(place)) for _ in range(SLOW_CLIENTS)]
        for client in clients:
            client.sendall(sent.encode())
        yield clients


def test_slow_uploads_leave_the_service_to_others(full: FullStack) -> None:
    head = f"PUT {FILES}/slow.bin HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    with slow_clients(full, head + "\0" * 1000), Pixmill(full.url) as client:
        assert_quick(client)


@pytest.mark.parametrize(
    "header",
    ["Accept: */*", "Range: bytes=1-", "Range: bytes=0-0,9-", "If-Match: *", "If-Match: *\r\nRange: bytes=0-0,9-"],
)
def test_slow_downloads_leave_the_service_to_others(full: FullStack, large_file: int, header: str) -> None:
    head = f"GET {FILES}/{large_file}/download HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n"
    with slow_clients(full, head) as slow, Pixmill(full.url) as client:
        for one in slow:
            assert one.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 206")

        assert_quick(client)


@pytest.fixture(scope="module")
def large_file(full: FullStack) -> int:
    """The id of a file that no buffer on the way holds."""
    with Pixmill(full.url) as client:
        return int(str(client.upload("large.bin", os.urandom(30_000_000))["id"]))


def assert_quick(client: Pixmill) -> None:
    time.sleep(0.5)
    began = time.monotonic()
    for _ in range(10):
        client.upload("quick.bin", b"quick")

    assert time.monotonic() - began < 5
