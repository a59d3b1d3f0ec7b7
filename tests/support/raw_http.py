"""HTTP as raw bytes on a socket, to see bytes that clients ignore after Content-Length."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import httpx2

from tests.support.waiting import STATE_SECONDS

CLOSE = "Connection: close\r\n\r\n"


class Answer(NamedTuple):
    """A response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def received(url: str, *requests: bytes) -> bytes:
    """Send the requests on a connection and return all bytes until the server closes it."""
    address = httpx2.URL(url)
    with socket.create_connection((address.host, address.port or 80), timeout=STATE_SECONDS) as connection:
        for request in requests:
            connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def begun(
    url: str,
    target: str,
    size: int | str,
    host: str = "localhost",
    headers: Mapping[str, str] | None = None,
    source: str = "127.0.0.1",
) -> Iterator[socket.socket]:
    """Send a request without its body, from the address ``source``; return the connection."""
    address = httpx2.URL(url)
    lines = {"Host": host, "Content-Length": str(size), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection((address.host, address.port or 80), STATE_SECONDS, (source, 0)) as connection:
        connection.sendall(f"{target} HTTP/1.1\r\n{head}\r\n".encode())
        yield connection


def answer_of(connection: socket.socket) -> Answer:
    """Return the response to an incomplete request of another method than HEAD."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        assert more, f"the connection ended after {data!r}"
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(next(_lengths(head), "0"))
    while len(body) < length:
        body += connection.recv(length - len(body))
    [answer] = answers(head + b"\r\n\r\n" + body, "GET")
    return answer


def _lengths(head: bytes) -> Iterator[str]:
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            yield value.strip()


def assert_refused(connection: socket.socket, status: bytes, word: bytes) -> None:
    """Check that an incomplete request is answered with a problem."""
    answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in answer
    assert word in answer


def answers(data: bytes, *methods: str) -> Iterator[Answer]:
    """Parse the responses to requests of these methods, which have a Content-Length or no content.

    :raises AssertionError: the bytes are not exactly these responses.
    """
    for method in methods:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, f"no response to {method}: {head[:100]!r}"
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        status = int(line.removeprefix("HTTP/1.1 ")[:3])
        length = 0 if method == "HEAD" or status in (204, 304) else int(headers["content-length"])
        assert len(data) >= length, f"only {len(data)} of {length} bytes"
        yield Answer(status, headers, data[:length])
        data = data[length:]
    assert data == b"", f"{len(data)} bytes more than Content-Length"
