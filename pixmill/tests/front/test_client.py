"""Responses that are sent before the client's body has arrived, over real connections."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterator

import pytest
from pixmill.front.client import Client
from pixmill.front.limits import Limit
from pixmill.front.protocol import StrictHttp
from service_kit.request_body import PUBLIC_JSON_LIMIT
from starlette.types import Message, Receive, Scope, Send

from tests.support.front import front_server
from tests.support.waiting import STATE_SECONDS

SIZE = 10_000_000
"""More than the buffers of a connection."""


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a request without reading its body."""
    client = Client(scope, receive, send, Limit(0, 0))
    await client.answer(401, [(b"Content-Length", b"2")], no())
    await client.linger()


async def no() -> AsyncGenerator[bytes, None]:
    yield b"no"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Start a server, and connect to it."""
    monkeypatch.setattr(StrictHttp, "limit", Limit(total=1, each=1), raising=False)
    with (
        front_server(refuse) as port,
        socket.create_connection(("127.0.0.1", port), STATE_SECONDS) as connection,
    ):
        yield connection


def sending(body: bytes, memory: Limit) -> Client:
    """Return a client that sends a body in one piece."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        raise AssertionError(f"nothing was refused: {message}")

    scope = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")], "client": ("192.0.2.7", 1)}
    return Client(scope, receive, send, memory)


def test_a_sign_in_needs_no_place_in_the_memory_of_bodies() -> None:
    client = sending(bytes(PUBLIC_JSON_LIMIT), Limit(0, 0))

    assert asyncio.run(client.buffer_body(PUBLIC_JSON_LIMIT))


def test_a_body_counts_towards_the_memory_until_it_was_passed_on() -> None:
    memory = Limit(300_000, 300_000)
    client = sending(bytes(300_000), memory)
    asyncio.run(client.buffer_body(300_000))

    async def taken() -> bytes:
        return b"".join([piece async for piece in client.body()])

    others = [memory.enter("192.0.2.8", 200_000)]
    body = asyncio.run(taken())
    others.append(memory.enter("192.0.2.8", 200_000))

    assert len(body) == 300_000
    assert others == [False, True]


def test_a_buffered_body_comes_in_pieces_that_are_short_enough_for_uwsgi() -> None:
    content = bytes(range(250)) * 12_000
    client = sending(content, Limit(len(content), len(content)))

    async def pieces() -> list[bytes]:
        await client.buffer_body(len(content))
        return [piece async for piece in client.body()]

    found = asyncio.run(pieces())

    assert b"".join(found) == content
    assert max(map(len, found)) <= 1024 * 1024, "the default of uWSGI's chunked-input-limit"


def head(size: int) -> bytes:
    return b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size


def rest_of(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_an_early_response_is_complete_for_a_client_that_sends_nothing_more(client: socket.socket) -> None:
    client.sendall(head(SIZE) + b"a")

    response = rest_of(client)

    assert response.startswith(b"HTTP/1.1 401")
    assert b"\r\nconnection: close\r\n" in response.lower()
    assert response.endswith(b"\r\n\r\nno")


def test_a_client_can_send_the_rest_of_its_body_after_an_early_response(client: socket.socket) -> None:
    client.sendall(head(SIZE))
    early = rest_of(client)

    client.sendall(bytes(SIZE))

    assert early.startswith(b"HTTP/1.1 401")
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_a_response_after_the_body_keeps_the_connection(client: socket.socket) -> None:
    client.sendall(head(0))

    assert b"connection: close" not in client.recv(10_000).lower()
