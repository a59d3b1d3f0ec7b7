"""Builds responses from cached results, which may be evicted at any moment."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from image_processor.render.routers.clients import until_gone
from image_processor.render.service import Found, RenderService, Result


async def response_of(
    find: Callable[[], Awaitable[Result]],
    respond: Callable[[Result], Response],
) -> Response:
    """Return the response that ``respond`` builds from the result.

    :param find: returns the result, and renders it if it is not cached.
    """
    try:
        return respond(await find())
    except FileNotFoundError:
        # The result was evicted after it was found: render it again.
        return respond(await find())


async def result_for(request: Request, service: RenderService, found: Found) -> Result:
    """Return the result; render it if it is not cached, as long as the client is connected.

    :raises ClientDisconnect: the client has closed the connection.
    """
    cached = service.cached(found)
    return await until_gone(request, service.result(found)) if cached is None else cached
