"""The client of one request: it gives a body and takes an answer."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from email.utils import formatdate

from service_kit.problems import Problem
from starlette.types import Message, Receive, Scope, Send

SILENT_SECONDS = 60
"""A body of which nothing more comes for so long is given up."""
STUCK_SECONDS = 120
"""So is an answer of which the client takes nothing more."""

RawHeaders = Iterable[tuple[bytes, bytes]]


def dated(send: Send) -> Send:
    """Return ``send`` for answers that are to have a Date (RFC 9110, 6.6.1)."""

    async def send_dated(message: Message) -> None:
        if message["type"] == "http.response.start":
            date = (b"Date", formatdate(usegmt=True).encode())
            message = {**message, "headers": [date, *message["headers"]]}
        await send(message)

    return send_dated


class ClientGoneError(Exception):
    """The client has closed its connection."""


class BrokenOffError(Exception):
    """The rest of an answer cannot be had."""


class Client:
    """Hides ASGI's messages."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.is_answered = False
        """Whether an answer has begun."""

    async def body(self) -> AsyncIterator[bytes]:
        """Give the request's body as it comes.

        :raises ClientGoneError: before it was complete.
        :raises Problem: 408, nothing more of it comes.
        """
        more = True
        while more:
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    message = await self._receive()
            except TimeoutError as error:
                detail = f"Nothing of the body came for {SILENT_SECONDS} seconds; send the request again."
                raise Problem("request-timeout", 408, detail) from error
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            more = message["more_body"]
            if message["body"]:
                yield message["body"]

    async def answer(self, status: int, headers: RawHeaders, pieces: AsyncGenerator[bytes, None]) -> None:
        """Send an answer; what breaks off ends the connection without the bytes that are missing."""
        self.is_answered = True
        gone = asyncio.create_task(self._gone())
        try:
            async with aclosing(pieces):
                await self._say({"type": "http.response.start", "status": status, "headers": list(headers)})
                async for piece in pieces:
                    await self._say({"type": "http.response.body", "body": piece, "more_body": True})
                    if gone.done():
                        return
            await self._say({"type": "http.response.body", "body": b"", "more_body": False})
        except BrokenOffError:
            # uvicorn closes the connection of an answer that is not complete.
            return
        except TimeoutError:
            self._scope["state"]["abort"]()
        finally:
            gone.cancel()

    async def refuse(self, problem: Problem) -> None:
        """Send a problem document and close the connection: how the request's bytes go on is not known."""
        body = json.dumps(problem.document(), ensure_ascii=False).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if problem.retry_after is not None:
            headers.append((b"retry-after", b"%d" % problem.retry_after))
        await self.answer(problem.status, headers, _alone(body))

    async def _say(self, message: dict[str, object]) -> None:
        async with asyncio.timeout(STUCK_SECONDS):
            await self._send(message)

    async def _gone(self) -> None:
        # What comes of a body that nobody wants any more is read: closing before would lose the answer.
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _alone(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
