"""The gate before asynchronous applications: the event streams and images by URL."""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from service_kit.access.gate import SESSION_COOKIE, Asked, Gate, require
from service_kit.access.principals import Principal, Scope
from service_kit.problems import database_unavailable

log = structlog.get_logger()


async def admitted(gate: Gate, request: Request, scope: Scope) -> Principal:
    """Return who sends the request.

    :raises Problem: 401, 403, 421 or 429; 503, the database of keys does not answer.
    """

    def admit() -> Principal:
        address = request.headers.get("X-Real-IP") or (request.client.host if request.client else "")
        asked = Asked(request.method, request.headers, address, request.cookies.get(SESSION_COOKIE))
        principal = gate.admit(asked)
        require(principal, scope)
        return principal

    try:
        return await asyncio.to_thread(admit)
    except SQLAlchemyError as error:
        log.error("database unavailable", error=str(error))
        raise database_unavailable() from error
