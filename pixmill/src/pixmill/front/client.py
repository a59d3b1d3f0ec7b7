"""The connection to the client: reads the request body and sends the response."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, suppress
from email.utils import formatdate

from service_kit import response_headers
from service_kit.access.cors import Cors
from service_kit.problems import Problem
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from pixmill.front.limits import Limit

READ_TIMEOUT_SECONDS = 60
"""Seconds without a byte of the body after which the request is refused."""
BUFFER_SECONDS = 120
"""Seconds for a buffered body to arrive: 2 MiB need 140 kbit/s."""
PIECE_BYTES = 64 * 1024
"""Maximum size of a piece of a buffered body: each may become a chunk, and uWSGI takes chunks of at most 1 MiB."""
UNCOUNTED_BYTES = 16 * 1024
"""The first bytes of a body do not count towards the limit of memory, so that a client can always sign in.

This is the length of a request without a key (``service_kit.request_body.PUBLIC_JSON_LIMIT``).
"""
WRITE_TIMEOUT_SECONDS = 120
"""Seconds without the client reading the response after which the connection is closed."""
LINGER_SECONDS = 30
"""Seconds for which the rest of a body is dropped after an early response."""
LINGER_SILENCE_SECONDS = 5
"""Seconds without a byte of this rest after which the connection is closed."""

POLICIES = [(name.encode(), value.encode()) for name, value in response_headers.API.items()]

RawHeaders = Iterable[tuple[bytes, bytes]]


def with_date(send: Send) -> Send:
    """Return a ``send`` that adds a Date to the response (RFC 9110, 6.6.1)."""

    async def send_with_date(message: Message) -> None:
        if message["type"] == "http.response.start":
            date = (b"Date", formatdate(usegmt=True).encode())
            message = {**message, "headers": [date, *message["headers"]]}
        await send(message)

    return send_with_date


class ClientGoneError(Exception):
    """The client has disconnected."""


class BodyStoppedError(Exception):
    """The rest of the body is not wanted."""


class MemoryFullError(Exception):
    """The buffers of all clients, or those of this address, are full."""


class IncompleteResponseError(Exception):
    """The rest of the response is not available."""


class Client:
    """A wrapper around ASGI's messages.

    :param memory: the limit of bytes in the buffers of all clients.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, memory: Limit) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.has_response = False
        """Whether the response has begun."""
        self._headers = Headers(scope=scope)
        self._memory = memory
        self._buffered = bytearray()
        self._counted_bytes = 0
        self._has_more = self._headers.get("content-length", "0") != "0" or "transfer-encoding" in self._headers
        self._is_stopped = False
        self._waiting: asyncio.Timeout | None = None
        self._is_early = False

    @property
    def address(self) -> str:
        """The client's address; empty if the client disconnected before the connection was accepted."""
        return self._scope["client"][0] if self._scope["client"] else ""

    async def buffer_body(self, limit: int) -> bool:
        """Wait for the complete request body or for more than ``limit`` bytes, and return whether it is complete.

        What has arrived stays in the buffer, also after an error.

        :raises ClientGoneError: as in :meth:`body`.
        :raises MemoryFullError: there is no room for more of the body.
        :raises Problem: 408, the body has stopped arriving.
        :raises TimeoutError: the body takes longer than :data:`BUFFER_SECONDS`.
        """
        async with asyncio.timeout(BUFFER_SECONDS), aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                self._buffer(piece)
                if len(self._buffered) > limit:
                    return False
        return True

    def _buffer(self, piece: bytes) -> None:
        self._buffered += piece
        added = max(len(self._buffered) - UNCOUNTED_BYTES, 0) - self._counted_bytes
        if not self._memory.enter(self.address, added):
            raise MemoryFullError
        self._counted_bytes += added

    def drop_buffer(self) -> None:
        """Forget the buffered bytes."""
        self._buffered = bytearray()
        self._memory.leave(self.address, self._counted_bytes)
        self._counted_bytes = 0

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the request's body as it arrives; the buffered bytes count towards the memory until all were taken.

        :raises BodyStoppedError: :meth:`stop_body` was called before the body was complete.
        :raises ClientGoneError: the client disconnected before the body was complete.
        :raises Problem: 408, the body has stopped arriving.
        """
        for start in range(0, len(self._buffered), PIECE_BYTES):
            yield bytes(self._buffered[start : start + PIECE_BYTES])
        self.drop_buffer()
        async for piece in self._pieces():
            yield piece

    def stop_body(self) -> None:
        """Make :meth:`body` raise, also while it waits for the client."""
        self._is_stopped = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        while self._has_more:
            if self._is_stopped:
                raise BodyStoppedError
            try:
                async with asyncio.timeout(READ_TIMEOUT_SECONDS) as self._waiting:
                    message = await self._receive()
            except TimeoutError as error:
                if self._is_stopped:
                    raise BodyStoppedError from error
                detail = f"No bytes of the body arrived for {READ_TIMEOUT_SECONDS} seconds; send the request again."
                raise Problem("request-timeout", 408, detail) from error
            finally:
                self._waiting = None
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            self._has_more = message["more_body"]
            if message["body"]:
                yield message["body"]

    async def answer(self, status: int, headers: RawHeaders, pieces: AsyncGenerator[bytes, None]) -> None:
        """Send a response; if its bytes break off, close the connection so that the client notices.

        After a response that is sent before the body has arrived, call :meth:`linger`.
        """
        self.has_response = True
        sent = list(headers)
        names = {name.lower() for name, _ in sent}
        self._is_early = self._has_more and b"content-length" in names
        if self._is_early and b"connection" not in names:
            sent.append((b"connection", b"close"))
        gone = asyncio.create_task(self.gone())
        try:
            async with aclosing(pieces):
                await self._send_in_time({"type": "http.response.start", "status": status, "headers": sent})
                async for piece in pieces:
                    await self._send_in_time({"type": "http.response.body", "body": piece, "more_body": True})
                    if gone.done():
                        return
            if not self._is_early:
                await self._send_in_time({"type": "http.response.body", "body": b"", "more_body": False})
        except IncompleteResponseError:
            # uvicorn closes the connection of an incomplete response.
            self._is_early = False
        except TimeoutError:
            self._is_early = False
            self._scope["state"]["abort"]()
        finally:
            gone.cancel()

    async def linger(self) -> None:
        """After an early response, read and drop the rest of the body for a bounded time (RFC 9112, 9.6).

        Closing the connection at once would reset it, and the client would lose the response. The client has the whole
        response, of known length, so it can stop sending. uvicorn closes the connection when the application returns.
        """
        if not self._is_early:
            return
        self._scope["state"]["end_output"]()
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self._has_more:
                    async with asyncio.timeout(LINGER_SILENCE_SECONDS):
                        message = await self._receive()
                    self._has_more = message["type"] == "http.request" and message["more_body"]

    async def refuse(self, problem: Problem, cors: Cors) -> None:
        """Send a problem document and close the connection, because the start of the next request is unknown.

        :param cors: chooses the origins whose pages may read it.
        """
        body = json.dumps(problem.document(), ensure_ascii=False).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *POLICIES,
        ]
        if problem.retry_after is not None:
            headers.append((b"retry-after", b"%d" % problem.retry_after))
        allowed = cors.headers(self._scope["method"], self._headers)
        headers += [(name.lower().encode(), value.encode()) for name, value in allowed.items()]
        if cors.varies:
            headers.append((b"vary", b"Origin"))
        await self.answer(problem.status, headers, _single(body))

    async def _send_in_time(self, message: dict[str, object]) -> None:
        async with asyncio.timeout(WRITE_TIMEOUT_SECONDS):
            await self._send(message)

    async def gone(self) -> None:
        """Wait until the client has disconnected."""
        # Read and drop the rest of the body: closing the connection before would lose the response.
        while (message := await self._receive())["type"] != "http.disconnect":
            self._has_more = message["more_body"]
        self._has_more = False


async def _single(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
