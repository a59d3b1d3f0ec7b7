"""The audit trail records the requests to an ASGI endpoint, accepted and refused."""

import asyncio

import httpx2
import pytest
from service_kit.access.asgi_gate import admitted, recorded
from service_kit.access.audit import AuditFilter, AuditTrail
from service_kit.access.gate import Gate, Rules
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.models import AuditEntry
from service_kit.access.principals import READER, WRITER, Scope
from service_kit.access.wrong_keys import WrongKeys
from service_kit.database import Database
from service_kit.problems import Problem
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ROUTE = "/renders/{file_id}"


class Site:
    """An application with one endpoint, which requires the scope ``files:delete``."""

    def __init__(self, database: Database) -> None:
        self.keys = KeyService(database)
        self._trail = AuditTrail(database, 3600)
        gate = Gate(Rules("keys", {}, [], []), self.keys, WrongKeys(database))

        async def remove(request: Request) -> Response:
            try:
                await admitted(gate, request, Scope.FILES_DELETE)
            except Problem as problem:
                return Response(status_code=problem.status)
            if request.path_params["file_id"] == "broken":
                raise RuntimeError
            return Response(status_code=204)

        self._app = Starlette(routes=[Route(ROUTE, recorded(remove, ROUTE, self._trail), methods=["DELETE"])])

    def delete(self, path: str, key: str | None, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            named["Authorization"] = f"Bearer {key}"

        async def ask() -> int:
            transport = httpx2.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return (await client.delete(path, headers=named)).status_code

        return asyncio.run(ask())

    def entries(self) -> list[AuditEntry]:
        return list(self._trail.page(AuditFilter(), 0, 10))


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database)


def test_a_removal_is_recorded_with_who_where_and_what(site: Site) -> None:
    key, secret = site.keys.create(KeyRequest("alice", WRITER))

    status = site.delete("/renders/7?token=hidden", secret, X_Real_IP="192.0.2.1", X_Request_ID="monday")

    [entry] = site.entries()
    assert (entry.owner, entry.key_id, entry.address, entry.request_id) == ("alice", key.id, "192.0.2.1", "monday")
    assert (entry.action, entry.object, entry.status) == (f"DELETE {ROUTE}", "/renders/7", status)


@pytest.mark.parametrize(("path", "scopes", "status"), [("/renders/7", READER, 403), ("/renders/broken", WRITER, 500)])
def test_a_refused_or_failed_removal_is_recorded(site: Site, path: str, scopes: frozenset[Scope], status: int) -> None:
    secret = site.keys.create(KeyRequest("alice", scopes)).secret

    site.delete(path, secret)

    assert [(entry.owner, entry.object, entry.status) for entry in site.entries()] == [("alice", path, status)]


def test_strangers_write_no_rows(site: Site) -> None:
    assert site.delete("/renders/7", None) == 401

    assert site.entries() == []
