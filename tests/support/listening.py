"""A listener to an event stream: the ASGI application is called directly, so no server is started."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Scope

from tests.support.waiting import STATE_SECONDS


@dataclass(frozen=True)
class StreamResponse:
    """The response that a listener received until it disconnected."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def events(self) -> list[dict[str, str]]:
        """The events of the stream as dictionaries of their fields."""
        blocks = [block for block in self.body.replace("\r\n", "\n").split("\n\n") if "data: " in block]
        return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]

    @property
    def data(self) -> list[dict[str, object]]:
        return [json.loads(event["data"]) for event in self.events]


def listen(
    app: ASGIApp,
    path: str,
    events: int = 0,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
) -> StreamResponse:
    """Listen until ``events`` events have arrived, or until the response has ended."""
    return asyncio.run(listened(app, path, events, query, headers, method))


async def listened(
    app: ASGIApp,
    path: str,
    events: int = 0,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    on_body: Callable[[str], Awaitable[None]] | None = None,
) -> StreamResponse:
    """Do what :func:`listen` does.

    :param on_body: is called with each part of the body.
    """
    named = {"host": "127.0.0.1"} | {name.lower(): value for name, value in (headers or {}).items()}
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    sent: list[Message] = []
    gone = asyncio.Event()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        body = b"".join(part.get("body", b"") for part in sent)
        if b"data: " in body and body.count(b"data: ") >= events:
            gone.set()
        if on_body is not None and message.get("body"):
            await on_body(message["body"].decode())

    async with asyncio.timeout(STATE_SECONDS):
        await app(scope, receive, send)
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return StreamResponse(sent[0]["status"], head, b"".join(part.get("body", b"") for part in sent).decode())
