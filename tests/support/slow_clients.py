"""Clients that start a request and then keep the server waiting."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import httpx2

from tests.support.client import FILES
from tests.support.stacks import Stack

SLOW_CLIENTS = 100
"""More than the number of the service's threads."""

SLOW_UPLOAD = f"PUT {FILES}/slow.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + "\0" * 1000
"""An upload that sends only its beginning."""


def resumable_upload(url: str) -> str:
    """Return a request that continues a resumable upload of 1,000,000 bytes but sends only 1,000 bytes."""
    head = f"PATCH {url} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
    return f"{head}Content-Type: application/offset+octet-stream\r\nContent-Length: 1000000\r\n\r\n" + "\0" * 1000


def download_request(file_id: object, header: str = "Accept: */*") -> str:
    """Return a request for a file."""
    return f"GET {FILES}/{file_id}/download HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n"


def archive_request(file_id: object) -> str:
    """Return a request for an archive of a single file."""
    return f"GET {FILES}/archive?id={file_id} HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def slow_clients(stack: Stack, sent: Iterable[str]) -> Iterator[list[socket.socket]]:
    """Open a connection for each text, from several addresses; send the text and read nothing."""
    url = httpx2.URL(stack.url)
    with ExitStack() as opened:
        clients = []
        for number, begun in enumerate(sent):
            source = (f"127.0.0.{number % 10 + 2}", 0)
            connection = socket.create_connection((url.host, url.port or 80), 5, source)
            connection.settimeout(None)
            connection.sendall(begun.encode())
            clients.append(opened.enter_context(connection))
        yield clients
