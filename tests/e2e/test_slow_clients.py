"""Clients that send a body slowly hold nobody else up, where nginx stands in front."""

import socket
import time
from contextlib import ExitStack

import httpx

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
        time.sleep(0.5)

        began = time.monotonic()
        for _ in range(10):
            client.upload("quick.bin", b"quick")

        assert time.monotonic() - began < 5
