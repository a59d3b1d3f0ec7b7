"""A response made of a result on disk, which may be removed from the cache at any moment."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from image_processor.render.clients import until_gone
from image_processor.render.service import Found, RenderService, Result


async def response_of(
    find: Callable[[], Awaitable[Result]],
    respond: Callable[[Result], Response],
) -> Response:
    """Return the response that ``respond`` makes of the result.

    :param find: returns the result, rendered if it is not there.
    """
    try:
        return respond(await find())
    except FileNotFoundError:
        # Removed from the cache after it was found. It is rendered again.
        return respond(await find())


async def result_for(request: Request, service: RenderService, found: Found) -> Result:
    """Return the result; render it if it is not there and the client stays.

    :raises ClientGoneError: the client left.
    """
    cached = service.cached(found)
    return await until_gone(request, service.result(found)) if cached is None else cached
