"""The routes of access control."""

import re
import time
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from service_kit.access import rates
from service_kit.access.app import create_app
from service_kit.access.audit import AuditTrail, Change
from service_kit.access.gate import SESSION_COOKIE
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.owners import OwnerService
from service_kit.access.principals import READER, Limits
from service_kit.database import Database
from service_kit.request_body import PUBLIC_JSON_LIMIT


@pytest.fixture
def client(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """Return a client of an application for which all requests come at the same moment."""
    monkeypatch.setenv("ACCESS_DATABASE__URL", f"sqlite:///{tmp_path}/access.db")
    monkeypatch.setattr(rates, "SHARED", rates.Rates(clock=lambda: 0.0))
    return create_app().test_client()


def test_a_stranger_sends_no_large_body_to_sign_in(client: FlaskClient) -> None:
    refused = client.post("/session", json={"key": " " * PUBLIC_JSON_LIMIT})

    assert (refused.status_code, refused.get_json()["context"]) == (413, {"limit": PUBLIC_JSON_LIMIT})


@pytest.mark.parametrize("keeps_cookies", [True, False])
def test_a_browser_signs_in_as_often_as_its_owner_may_send_requests(
    client: FlaskClient, database: Database, *, keeps_cookies: bool
) -> None:
    secret = KeyService(database).create(KeyRequest("alice", READER)).secret
    OwnerService(database).limit("alice", Limits(requests_per_second=2))
    statuses: list[int] = []

    for _ in range(2 * rates.BURST_SECONDS + 1):
        statuses.append(client.post("/session", json={"key": secret}).status_code)
        if not keeps_cookies:
            client.delete_cookie(SESSION_COOKIE)

    assert statuses == [200, 200, 200, 200, 429]


@pytest.mark.parametrize(("scheme", "is_secure"), [("https", True), ("http", "")])
def test_the_session_is_a_cookie_that_neither_scripts_nor_other_sites_can_use(
    client: FlaskClient, database: Database, scheme: str, is_secure: bool | str
) -> None:
    url = f"{scheme}://localhost"
    secret = KeyService(database).create(KeyRequest("alice", READER)).secret

    signed_in = client.post("/session", json={"key": secret}, base_url=url)
    signed_out = client.delete("/session", base_url=url)

    assert (signed_in.status_code, signed_out.status_code) == (200, 204)
    # A browser deletes only the cookie that has the same name and path, and takes a secure one only by https.
    for response, lasts in ((signed_in, True), (signed_out, False)):
        cookie = SimpleCookie(response.headers["Set-Cookie"])[SESSION_COOKIE]
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Strict", is_secure)
        assert (cookie["path"], cookie["domain"]) == ("/", "")
        assert (int(cookie["max-age"]) > 0, cookie.value != "") == (lasts, lasts)


@pytest.mark.parametrize(("mode", "open_to_others"), [("open", True), ("keys", False)])
def test_the_session_says_whether_the_server_is_open_to_others(
    database: Database, monkeypatch: pytest.MonkeyPatch, mode: str, *, open_to_others: bool
) -> None:
    monkeypatch.setenv("ACCESS_DATABASE__URL", database.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("ACCESS_AUTH__MODE", mode)
    monkeypatch.setenv("ACCESS_HTTP__BIND", "0.0.0.0")

    session = create_app().test_client().get("/session").get_json()

    assert (session["mode"], session["open_to_others"]) == (mode, open_to_others)


def test_the_pages_of_the_audit_trail_are_linked_and_keep_their_filter(client: FlaskClient, database: Database) -> None:
    trail = AuditTrail(database, None)
    for number in range(5):
        trail.add(Change(time.time(), "alice", None, "127.0.0.1", "DELETE /things", f"/things/{number}", 204, ""))
        trail.add(Change(time.time(), "bob", None, "127.0.0.1", "DELETE /things", f"/things/{number}", 204, ""))
    trail.close()

    url: str | None = "/audit?owner=alice&limit=2"
    pages = []
    while url is not None:
        page = client.get(url)
        pages.append([entry["object"] for entry in page.get_json()])
        following = re.fullmatch(r'<(/audit\?[^>]*)>; rel="next"', page.headers.get("Link", ""))
        url = None if following is None else following[1]

    assert pages == [["/things/0", "/things/1"], ["/things/2", "/things/3"], ["/things/4"]]
