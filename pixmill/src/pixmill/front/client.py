"""The connection to the client: reads the request body and sends the response."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from email.utils import formatdate

from service_kit import response_headers
from service_kit.access.cors import Cors
from service_kit.problems import Problem
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

READ_TIMEOUT_SECONDS = 60
"""Seconds without a byte of the body after which the request is refused."""
WRITE_TIMEOUT_SECONDS = 120
"""Seconds without the client reading the response after which the connection is closed."""

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


class IncompleteResponseError(Exception):
    """The rest of the response is not available."""


class Client:
    """A wrapper around ASGI's messages."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.has_response = False
        """Whether the response has begun."""
        self._buffered: list[bytes] = []
        self._has_more = True

    @property
    def address(self) -> str:
        """The client's address; empty if the client disconnected before the connection was accepted."""
        return self._scope["client"][0] if self._scope["client"] else ""

    async def buffer_body(self, limit: int) -> bool:
        """Wait for the complete request body or its first ``limit`` bytes, and return whether it is complete.

        :raises ClientGoneError: as in :meth:`body`.
        :raises Problem: as in :meth:`body`.
        """
        if not {b"content-length", b"transfer-encoding"} & {name for name, _ in self._scope["headers"]}:
            return True
        size = 0
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                self._buffered.append(piece)
                size += len(piece)
                if size > limit:
                    return False
        return True

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the request's body as it arrives.

        :raises ClientGoneError: the client disconnected before the body was complete.
        :raises Problem: 408, the body has stopped arriving.
        """
        for piece in self._buffered:
            yield piece
        self._buffered.clear()
        async for piece in self._pieces():
            yield piece

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        while self._has_more:
            try:
                async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                    message = await self._receive()
            except TimeoutError as error:
                detail = f"No bytes of the body arrived for {READ_TIMEOUT_SECONDS} seconds; send the request again."
                raise Problem("request-timeout", 408, detail) from error
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            self._has_more = message["more_body"]
            if message["body"]:
                yield message["body"]

    async def answer(self, status: int, headers: RawHeaders, pieces: AsyncGenerator[bytes, None]) -> None:
        """Send a response; if its bytes break off, close the connection so that the client notices."""
        self.has_response = True
        gone = asyncio.create_task(self.gone())
        try:
            async with aclosing(pieces):
                await self._send_in_time({"type": "http.response.start", "status": status, "headers": list(headers)})
                async for piece in pieces:
                    await self._send_in_time({"type": "http.response.body", "body": piece, "more_body": True})
                    if gone.done():
                        return
            await self._send_in_time({"type": "http.response.body", "body": b"", "more_body": False})
        except IncompleteResponseError:
            # uvicorn closes the connection of an incomplete response.
            return
        except TimeoutError:
            self._scope["state"]["abort"]()
        finally:
            gone.cancel()

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
        allowed = cors.headers(self._scope["method"], Headers(scope=self._scope))
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
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _single(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
