"""Reads a client's JSON body, and cancels work when the client disconnects."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, TypeVar

from service_kit.json_extent import check_extent
from service_kit.problems import Problem
from service_kit.texts import counted, sentence
from starlette.requests import ClientDisconnect, Request

MAX_BODY_BYTES = 2 * 1024 * 1024

_T = TypeVar("_T")


async def json_of(request: Request) -> object:
    """Return the JSON document in the request's body.

    :raises ClientDisconnect: the client left before the body was complete.
    :raises Problem: 400, it is not JSON; 413, it is too large; 415, it has another type; 422, it is too deep or has too
        many values.
    """
    media_type = request.headers.get("Content-Type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        detail = sentence("Send JSON, as application/json.")
        raise Problem("unsupported-media-type", 415, detail, context={"media_type": "application/json"})
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise Problem(
                "body-too-large",
                413,
                counted(
                    "The JSON may have at most {limit:,} byte.",
                    "The JSON may have at most {limit:,} bytes.",
                    "limit",
                    limit=MAX_BODY_BYTES,
                ),
            )
    try:
        document: object = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise Problem("malformed-json", 400, sentence("The body is not JSON in UTF-8.")) from error
    # Validation blocks the event loop, and with it all other requests.
    check_extent(document)
    return document


# Any: only asyncio uses what a coroutine yields and is sent.
async def until_gone(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of the work; cancel it if the client closes the connection. Read the request's body before.

    :raises ClientDisconnect: the client closed the connection.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
