"""Clients that send or take bytes slowly hold nobody else up, where nginx stands in front."""

import os
import socket
import time
from contextlib import ExitStack

import httpx
import pytest

from tests.client import FILES, Pixmill
from tests.stacks import FullStack

SLOW_CLIENTS = 100
"""More than the service has threads."""


def test_slow_uploads_leave_the_service_to_others(full: FullStack) -> None:
    address = httpx.URL(full.url)
    head = f"PUT {FILES}/slow.bin HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode()
    with ExitStack() as opened, Pixmill(full.url) as client:
        for _ in range(SLOW_CLIENTS):
            slow = opened.enter_context(socket.create_connection((address.host, address.port or 80)))
            slow.sendall(head + bytes(1000))

        assert_quick(client)


@pytest.mark.parametrize(
    "header",
    ["Accept: */*", "Range: bytes=1-", "Range: bytes=0-0,9-", "If-Match: *", "If-Match: *\r\nRange: bytes=0-0,9-"],
)
def test_slow_downloads_leave_the_service_to_others(full: FullStack, large_file: int, header: str) -> None:
    address = httpx.URL(full.url)
    head = f"GET {FILES}/{large_file}/download HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode()
    with ExitStack() as opened, Pixmill(full.url) as client:
        for _ in range(SLOW_CLIENTS):
            slow = opened.enter_context(socket.create_connection((address.host, address.port or 80)))
            slow.sendall(head)
            assert slow.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 206")

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
