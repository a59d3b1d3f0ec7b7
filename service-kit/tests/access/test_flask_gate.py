"""The gate before a Flask application: each route names a scope, and each change is in the audit trail."""

from collections.abc import Callable, Mapping

import pytest
from flask import Flask, Response, g, request
from flask.testing import FlaskClient
from service_kit.access.audit import AuditFilter, AuditTrail
from service_kit.access.cors import Cors
from service_kit.access.flask_gate import (
    ADMITTED,
    UnguardedRouteError,
    install_gate,
    mark_counted,
    needs,
    principal,
    public,
    record_only_refusal,
)
from service_kit.access.gate import Gate, Rules
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.owners import OwnerService
from service_kit.access.principals import READER, WRITER, InnerScope, Limits, Principal, Process, Scope
from service_kit.access.wrong_keys import WrongKeys
from service_kit.api import render
from service_kit.database import Database
from service_kit.problems import Problem

PAGE = "https://app.example"
WORKER = "the secret of the worker"
MOUNTED = {"SCRIPT_NAME": "/api/things"}


class Site:
    """An application with the given views, and keys for it."""

    def __init__(self, database: Database) -> None:
        self.keys = KeyService(database)
        self.owners = OwnerService(database)
        self._trail = AuditTrail(database, 3600)
        gate = Gate(Rules("keys", {Process.WORKER: WORKER}, [], [PAGE]), self.keys, WrongKeys(database))
        self.app = Flask(__name__, static_folder=None)
        self.app.before_request(_begin)
        self.app.register_error_handler(Problem, render)
        # A mark belongs to a function, so each route has its own.
        self._add("GET", "/<int:id>", needs(Scope.FILES_READ)(lambda **_: Response(principal().owner)))
        self._add("DELETE", "/<int:id>", needs(Scope.FILES_DELETE)(lambda **_: Response(status=204)))
        self._add("POST", "/search", needs(Scope.FILES_READ)(lambda: Response(status=204)))
        self._add("PUT", "/question", needs(Scope.FILES_WRITE)(_question))
        self._add("PUT", "/results", needs(Scope.ADMIN, InnerScope.RESULTS_STORE)(lambda: Response(status=204)))
        self._add("POST", "/session", public(lambda: Response(status=204)))
        for path in ("/links/<link>", "/shared/<link>/unlock", "/shared/<link>/<int:id>", "/named/<name>"):
            self._add("PATCH", path, needs(Scope.FILES_WRITE)(lambda **_: Response(status=204)))
        install_gate(self.app, gate, self._trail, Cors([PAGE]))

    def _add(self, method: str, path: str, view: Callable[..., Response]) -> None:
        self.app.add_url_rule(path, f"{method} {path}", view, methods=[method])

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def key(self, scopes: frozenset[Scope]) -> dict[str, str]:
        """Return the header with a new key of Alice."""
        return bearer(self.keys.create(KeyRequest("alice", scopes)).secret)

    def entries(self) -> list[tuple[str, str, int]]:
        """Return what the audit trail says of each change: its route, its object and its status."""
        return [(entry.action, entry.object, entry.status) for entry in self._trail.page(AuditFilter(), 0, 100)]

    def senders(self) -> list[tuple[str, str | None, str, str]]:
        entries = self._trail.page(AuditFilter(), 0, 100)
        return [(entry.owner, entry.key_id, entry.address, entry.request_id) for entry in entries]


def _begin() -> None:
    g.request_id = "monday"


def _question() -> Response:
    record_only_refusal()
    return Response(status=507 if "full" in request.args else 204)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database)


def test_an_application_with_a_route_that_names_no_scope_does_not_start(site: Site) -> None:
    another = Flask("another", static_folder=None)
    another.add_url_rule("/", "guarded", needs(Scope.ADMIN)(lambda: ""))
    another.add_url_rule("/a", "forgotten", lambda: "")
    another.add_url_rule("/b", "also forgotten", lambda: "")
    gate = Gate(Rules("open", {}, [], []), site.keys, WrongKeys(Database("sqlite://")))

    with pytest.raises(UnguardedRouteError, match=r"also forgotten, forgotten$"):
        install_gate(another, gate, AuditTrail(Database("sqlite://"), 1), Cors([]))


@pytest.mark.parametrize(
    ("method", "path", "nobody", "reader", "writer"),
    [
        ("GET", "/7", 401, 200, 200),
        ("DELETE", "/7", 401, 403, 204),
        ("PUT", "/results", 401, 403, 403),
        ("POST", "/session", 204, 204, 204),
        ("GET", "/nothing", 404, 404, 404),
    ],
)
def test_a_route_requires_its_scope(site: Site, method: str, path: str, nobody: int, reader: int, writer: int) -> None:
    keys: list[Mapping[str, str]] = [{}, site.key(READER), site.key(WRITER)]

    statuses = [site.client.open(path, method=method, headers=key).status_code for key in keys]

    assert statuses == [nobody, reader, writer]


def test_a_view_knows_who_sends_the_request(site: Site) -> None:
    assert site.client.get("/7", headers=site.key(READER)).text == "alice"


def test_an_own_process_may_call_the_routes_that_name_its_scope(site: Site) -> None:
    key = bearer(WORKER) | {"X-Pixmill-Owner": "alice"}

    assert site.client.put("/results", headers=key).status_code == 204
    assert site.client.delete("/7", headers=key).status_code == 403


@pytest.mark.parametrize(
    ("send", "recorded"),
    [
        (lambda client, key: client.get("/7", headers=key), []),
        (lambda client, key: client.post("/search", headers=key), []),
        (lambda client, key: client.delete("/8", headers=key), [("DELETE /<int:id>", "/8", 204)]),
        (lambda client, key: client.put("/results", headers=key), [("PUT /results", "/results", 403)]),
        (lambda client, key: client.put("/question", headers=key), []),
        (lambda client, key: client.delete("/nothing", headers=key), []),
        (
            lambda client, key: client.delete("/8", headers=key, environ_overrides=MOUNTED),
            [("DELETE /api/things/<int:id>", "/api/things/8", 204)],
        ),
        (
            lambda client, key: client.patch("/named/a%00b", headers=key),
            [("PATCH /named/<name>", "/named/ab", 204)],
        ),
        (
            lambda client, key: client.patch(f"/named/{'n' * 1000}", headers=key),
            [("PATCH /named/<name>", f"/named/{'n' * 505}", 204)],
        ),
        # The token of a link is enough to use it, so the trail has only its route.
        (
            lambda client, key: client.patch("/links/s3cret", headers=key, environ_overrides=MOUNTED),
            [("PATCH /api/things/links/<link>", "/api/things/links/<link>", 204)],
        ),
        (
            lambda client, key: client.patch("/links/42", headers=key, environ_overrides=MOUNTED),
            [("PATCH /api/things/links/<link>", "/api/things/links/42", 204)],
        ),
        (
            lambda client, key: client.patch("/links/42.s3cret", headers=key),
            [("PATCH /links/<link>", "/links/<link>", 204)],
        ),
        (
            lambda client, key: client.patch("/shared/s3cret/7", headers=key),
            [("PATCH /shared/<link>/<int:id>", "/shared/<link>/<int:id>", 204)],
        ),
        (
            lambda client, key: client.patch("/shared/s3cret/unlock", headers=key),
            [("PATCH /shared/<link>/unlock", "/shared/<link>/unlock", 204)],
        ),
    ],
)
def test_changes_and_refused_changes_are_recorded(
    site: Site, send: Callable[[FlaskClient, Mapping[str, str]], object], recorded: list[tuple[str, str, int]]
) -> None:
    send(site.client, site.key(WRITER))

    assert site.entries() == recorded


def test_a_refused_question_is_recorded(site: Site) -> None:
    site.client.put("/question?full", headers=site.key(WRITER))
    site.client.put("/question", headers=site.key(READER))

    assert site.entries() == [("PUT /question", "/question", 507), ("PUT /question", "/question", 403)]


def test_an_entry_says_who_sent_the_request_and_from_where(site: Site) -> None:
    made = site.keys.create(KeyRequest("alice", WRITER))

    site.client.delete("/7", headers=bearer(made.secret))
    site.client.delete("/7", headers=bearer(made.secret) | {"X-Real-IP": "192.0.2.1"})

    assert site.senders() == [
        ("alice", made.key.id, "127.0.0.1", "monday"),
        ("alice", made.key.id, "192.0.2.1", "monday"),
    ]


def test_a_named_origin_may_ask_what_it_may_send_without_a_key(site: Site) -> None:
    """Fetch, 4.8: a preflight has no credentials, and its response needs an ok status."""
    asks = {"Access-Control-Request-Method": "DELETE"}

    named = site.client.options("/7", headers={"Origin": PAGE, **asks})
    other = site.client.options("/7", headers={"Origin": "https://other.example", **asks})

    assert (named.status_code, named.headers["Access-Control-Allow-Origin"]) == (204, PAGE)
    assert "DELETE" in named.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Origin" not in other.headers
    assert (named.headers["Vary"], other.headers["Vary"]) == ("Origin", "Origin")


def test_a_named_origin_may_read_a_refusal(site: Site) -> None:
    refused = site.client.delete("/7", headers={"Origin": PAGE} | site.key(READER))

    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (403, PAGE)
    assert "Origin" in refused.vary


def test_a_request_that_was_admitted_earlier_is_not_counted_again(site: Site) -> None:
    key = site.key(READER)
    site.owners.limit("alice", Limits(requests_per_second=1))
    earlier = {ADMITTED: Principal("bob", READER)}

    owners = [site.client.get("/7", headers=key, environ_overrides=earlier).text for _ in range(9)]

    assert owners == ["bob"] * 9


def test_a_request_that_was_refused_earlier_is_refused(site: Site) -> None:
    earlier = {ADMITTED: Problem("too-many-requests", 429, "Wait.")}

    refused = site.client.delete("/7", headers=site.key(WRITER), environ_overrides=earlier)

    assert refused.status_code == 429
    assert site.entries() == []


def test_an_earlier_decision_still_needs_the_scope_of_the_route(site: Site) -> None:
    earlier = {ADMITTED: Principal("bob", READER)}

    assert site.client.delete("/7", environ_overrides=earlier).status_code == 403


def test_an_application_may_say_that_a_request_was_counted(site: Site) -> None:
    key = site.key(WRITER)
    site.owners.limit("alice", Limits(requests_per_second=1))
    before = site.app.before_request_funcs[None]

    before.insert(0, mark_counted)
    free = [site.client.get("/7", headers=key).status_code for _ in range(9)]
    before.remove(mark_counted)
    counted = [site.client.get("/7", headers=key).status_code for _ in range(9)]

    assert set(free) == {200}
    assert 429 in counted
