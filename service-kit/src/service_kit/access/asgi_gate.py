"""The gate for ASGI applications: the event streams and the render service."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, ExceptionHandler, Lifespan, Message, Receive, Send
from starlette.types import Scope as ConnectionScope

from service_kit.access.audit import MAX_OBJECT, AuditTrail, Change
from service_kit.access.cors import Cors
from service_kit.access.gate import SESSION_COOKIE, Asked, Gate, require
from service_kit.access.principals import Principal, Scope
from service_kit.database_problems import database_failed
from service_kit.front_headers import REAL_IP
from service_kit.request_ids import request_id

log = structlog.get_logger()

Endpoint = Callable[[Request], Awaitable[Response]]
_API = "/api/"


class ApiApplication(Starlette):
    """An application that adds CORS headers to each response of its API, also to refusals and failures.

    Images by URL are not part of the API: they need no key, and nginx caches them for all clients.
    """

    def __init__(
        self,
        cors: Cors,
        routes: Sequence[BaseRoute],
        exception_handlers: dict[int | type[Exception], ExceptionHandler],
        lifespan: Lifespan["ApiApplication"] | None = None,
    ) -> None:
        self._cors = cors
        super().__init__(routes=routes, exception_handlers=exception_handlers, lifespan=lifespan)

    def build_middleware_stack(self) -> ASGIApp:
        """Wrap the whole application: Starlette's own middleware does not see the responses to failures."""
        return _with_cors(super().build_middleware_stack(), self._cors)


def _with_cors(app: ASGIApp, cors: Cors) -> ASGIApp:
    async def answer(scope: ConnectionScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_API):
            await app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        added = cors.headers(scope["method"], asked)

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(added)
                if cors.varies:
                    headers.add_vary_header("Origin")
            await send(message)

        is_preflight = cors.is_preflight(scope["method"], asked)
        await (Response(status_code=204) if is_preflight else app)(scope, receive, send_with)

    return answer


async def admitted(gate: Gate, request: Request, scope: Scope, *, counts: bool = True) -> Principal:
    """Return the principal that sends the request.

    :param counts: as in :meth:`Gate.admit`.
    :raises Problem: 401, 403, 421 or 429; 503 if the database of keys does not answer.
    """

    def admit() -> Principal:
        asked = Asked(request.method, request.headers, _address(request), request.cookies.get(SESSION_COOKIE))
        principal = gate.admit(asked, counts=counts)
        request.state.principal = principal
        require(principal, scope)
        return principal

    try:
        return await asyncio.to_thread(admit)
    except SQLAlchemyError as error:
        log.error("database unavailable", error=str(error))
        raise database_failed(error) from error


def recorded(endpoint: Endpoint, route: str, trail: AuditTrail) -> Endpoint:
    """Return the endpoint, wrapped so that each request, accepted or refused, gets an audit entry.

    :param route: the endpoint's path, such as ``/renders/{file_id}``.
    """

    async def record(request: Request) -> Response:
        status = 500
        try:
            response = await endpoint(request)
            status = response.status_code
            return response
        finally:
            who: Principal | None = getattr(request.state, "principal", None)
            trail.add(
                Change(
                    time=time.time(),
                    owner=who.owner if who else "",
                    key_id=who.key_id if who else None,
                    address=_address(request)[:64],
                    action=f"{request.method} {route}",
                    object=request.url.path.replace("\0", "")[:MAX_OBJECT],
                    status=status,
                    request_id=request_id(request.headers.get("X-Request-ID", "")),
                )
            )

    return record


def _address(request: Request) -> str:
    return request.headers.get(REAL_IP) or (request.client.host if request.client else "")
