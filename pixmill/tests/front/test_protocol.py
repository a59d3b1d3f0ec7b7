"""Client connections to the front's HTTP server."""

import socket
from collections.abc import Iterator

import pytest
from pixmill.front.limits import Limit
from pixmill.front.protocol import StrictHttp
from starlette.types import Receive, Scope, Send

from tests.support.front import front_server
from tests.support.waiting import STATE_SECONDS, wait_until

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def hello(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Start a server that accepts three connections, and two per address; return its port."""
    monkeypatch.setattr(StrictHttp, "limit", Limit(total=3, each=2), raising=False)
    with front_server(hello) as port:
        yield port


def connected(port: int, address: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), STATE_SECONDS, (address, 0))


def answer(client: socket.socket) -> bytes:
    client.sendall(ASK)
    return client.recv(10_000)


def is_served(port: int) -> bool:
    with connected(port, "127.0.0.2") as client:
        return answer(client).startswith(b"HTTP/1.1 204")


def test_an_address_has_its_share_of_the_connections(port: int) -> None:
    with connected(port, "127.0.0.2") as first, connected(port, "127.0.0.2") as second:
        answers = [answer(first), answer(second)]
        with connected(port, "127.0.0.2") as third, connected(port, "127.0.0.3") as other:
            refused, served = answer(third), answer(other)

    assert all(text.startswith(b"HTTP/1.1 204") for text in (*answers, served))
    assert refused.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 5" in refused
    assert b"application/problem+json" in refused


def test_a_closed_connection_makes_room(port: int) -> None:
    for _ in range(20):
        with connected(port, "127.0.0.2") as client:
            answer(client)

        # The server notices the end with a short delay.
        wait_until(lambda: is_served(port), "the closed connection made room")
