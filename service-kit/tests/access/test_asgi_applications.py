"""An ASGI application of the API answers pages of other origins, also where it fails."""

import asyncio
from collections.abc import Mapping

import httpx2
import pytest
from service_kit.access.asgi_gate import ApiApplication
from service_kit.access.cors import Cors
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

NAMED = "https://app.example"
SENT = {"Origin": NAMED, "Authorization": "Bearer key"}


def answered(path: str, headers: Mapping[str, str]) -> httpx2.Response:
    """Return the response of an application that has one endpoint, which fails, under ``/api/`` and outside."""

    async def failing(_request: Request) -> Response:
        raise RuntimeError

    async def failed(_request: Request, _error: Exception) -> Response:
        return Response(status_code=500, headers={"Vary": "Accept-Language"})

    app = ApiApplication(Cors([NAMED]), [Route("/{path:path}", failing)], {Exception: failed})

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path, headers=dict(headers))

    return asyncio.run(ask())


def test_a_named_origin_may_read_a_failure() -> None:
    response = answered("/api/things", SENT)

    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (500, NAMED)
    assert response.headers["Vary"] == "Accept-Language, Origin"


@pytest.mark.parametrize("path", ["/img/a", "/", "/apis/a"])
def test_what_is_not_the_api_is_the_same_for_all(path: str) -> None:
    response = answered(path, SENT)

    assert "Access-Control-Allow-Origin" not in response.headers
    assert response.headers["Vary"] == "Accept-Language"
