"""The gate for ASGI applications: the event streams and the render service."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from service_kit.access.audit import MAX_OBJECT, AuditTrail, Change
from service_kit.access.gate import SESSION_COOKIE, Asked, Gate, require
from service_kit.access.principals import Principal, Scope
from service_kit.database_problems import database_failed
from service_kit.request_ids import request_id

log = structlog.get_logger()

Endpoint = Callable[[Request], Awaitable[Response]]


async def admitted(gate: Gate, request: Request, scope: Scope) -> Principal:
    """Return the principal that sends the request.

    :raises Problem: 401, 403, 421 or 429; 503 if the database of keys does not answer.
    """

    def admit() -> Principal:
        asked = Asked(request.method, request.headers, _address(request), request.cookies.get(SESSION_COOKIE))
        principal = gate.admit(asked)
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
    return request.headers.get("X-Real-IP") or (request.client.host if request.client else "")
