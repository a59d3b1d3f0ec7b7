"""Downloads that are answered before Flask, and those that reach Flask."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import svcs
from file_storage.config import Settings
from file_storage.services.files import FileService
from flask import request_started
from flask.testing import FlaskClient
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.principals import WRITER
from service_kit.access.wrong_keys import FAILURES_PER_MINUTE
from service_kit.database import Database
from sqlalchemy import text
from werkzeug.test import TestResponse

T = TypeVar("T")

WRONG_KEY = {"Authorization": f"Bearer pxm_{'0' * 12}_{'x' * 43}"}
CONTENT = b"<p>Not text that a browser may show</p>"


@pytest.fixture(scope="module")
def client(start: Callable[[str], FlaskClient]) -> FlaskClient:
    return start("86400")


@pytest.fixture(scope="module")
def ann(client: FlaskClient) -> dict[str, str]:
    return key_of(client, "ann")


@pytest.fixture(scope="module")
def bob(client: FlaskClient) -> dict[str, str]:
    return key_of(client, "bob")


def key_of(client: FlaskClient, owner: str) -> dict[str, str]:
    """Return the headers of a request with a new key of the owner."""
    return {"Authorization": f"Bearer {service(client, KeyService).create(KeyRequest(owner, WRITER)).secret}"}


@pytest.fixture(scope="module")
def url(client: FlaskClient, ann: dict[str, str]) -> str:
    return stored(client, "name=h%C3%A9.html", ann)


def stored(client: FlaskClient, query: str, headers: dict[str, str], content: bytes = CONTENT) -> str:
    """Store a file and return the URL of its bytes."""
    response = client.put(f"/?{query}", data=content, headers=headers)
    return f"/{response.get_json()['id']}/download"


@pytest.fixture
def link(client: FlaskClient, ann: dict[str, str], url: str) -> str:
    """Return the path of a link to the file."""
    made = client.post(f"/{url.split('/')[1]}/links", json={"expires_in": 60}, headers=ann).get_json()
    return f"/links/{made['url'].rpartition('/')[2]}"


def service(client: FlaskClient, wanted: type[T]) -> T:
    with client.application.app_context():
        return svcs.flask.get(wanted)


@contextmanager
def requests_of_flask(client: FlaskClient) -> Iterator[list[str]]:
    """Collect the paths of the requests that reach Flask during the block."""
    paths: list[str] = []

    def note(_application: object, **_details: object) -> None:
        paths.append("reached")

    with request_started.connected_to(note, client.application):
        yield paths


def described(response: TestResponse) -> dict[str, str]:
    """Return the headers, except those that depend on the sending server or identify the request."""
    sent_by = ("X-Accel-Redirect", "Accept-Ranges", "Content-Length", "X-Request-ID")
    return {name: value for name, value in response.headers.items() if name not in sent_by}


@pytest.mark.parametrize("query", ["", "?disposition=attachment", "?disposition=inline"])
def test_the_usual_download_is_answered_before_flask(
    client: FlaskClient, ann: dict[str, str], url: str, query: str
) -> None:
    with requests_of_flask(client) as reached:
        response = client.get(url + query, headers=ann)
    assert (response.status_code, reached) == (200, [])


def test_it_has_the_headers_that_flask_gives(client: FlaskClient, ann: dict[str, str], url: str) -> None:
    usual = client.get(url, headers=ann | {"X-Request-ID": "of-the-front"})
    by_flask = client.head(url, headers=ann)
    assert described(usual) == described(by_flask) | {"Content-Digest": usual.headers["Repr-Digest"]}
    assert usual.headers["X-Request-ID"] == "of-the-front"


def test_it_names_the_place_of_the_bytes(client: FlaskClient, ann: dict[str, str], url: str) -> None:
    response = client.get(url, headers=ann)
    name = response.headers["ETag"].strip('"')
    assert response.headers["X-Accel-Redirect"] == f"/blobs/{name[:2]}/{name[2:4]}/{name}"


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"If-None-Match": "*"}, "", 304),
        ({"If-Match": '"another"'}, "", 412),
        ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, "", 304),
        ({"If-Unmodified-Since": "Fri, 01 Jan 1999 00:00:00 GMT"}, "", 412),
        ({"Range": "bytes=1000-"}, "", 416),
        ({}, "?disposition=other", 422),
        ({}, "?color=red", 422),
    ],
)
def test_conditions_ranges_and_mistakes_are_left_to_flask(
    client: FlaskClient, ann: dict[str, str], url: str, headers: dict[str, str], query: str, status: int
) -> None:
    assert client.get(url + query, headers=ann | headers).status_code == status


def test_a_file_of_another_owner_is_not_found(client: FlaskClient, bob: dict[str, str], url: str) -> None:
    assert client.get(url, headers=bob).status_code == 404


def test_a_file_in_the_trash_is_not_found(client: FlaskClient, ann: dict[str, str]) -> None:
    trashed = stored(client, "name=trashed.txt", ann)
    client.post("/delete", json={"ids": [int(trashed.split("/")[1])]}, headers=ann)
    assert client.get(trashed, headers=ann).status_code == 404


def test_lost_bytes_are_a_problem(client: FlaskClient, ann: dict[str, str]) -> None:
    lost = stored(client, "name=lost.txt", ann)
    place = client.get(lost, headers=ann).headers["X-Accel-Redirect"].removeprefix("/")
    bytes_ = Path(service(client, Settings).storage.folder, place)
    bytes_.write_bytes(CONTENT[1:])

    response = client.get(lost, headers=ann)
    bytes_.write_bytes(CONTENT)

    assert response.get_json()["code"] == "bytes-lost"


def test_a_database_that_fails_is_a_problem(client: FlaskClient, ann: dict[str, str], url: str) -> None:
    database = service(client, Database)
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE files RENAME TO elsewhere"))

    failed = client.get(url, headers=ann)
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO files"))

    assert (failed.status_code, client.get(url, headers=ann).status_code) == (503, 200)


def test_a_database_of_keys_that_fails_is_a_problem(client: FlaskClient, url: str) -> None:
    gone = Database("sqlite:////nowhere/access.db")
    keys = service(client, KeyService)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(keys, "_database", gone)
        failed = client.get(url, headers=WRONG_KEY)

    assert (failed.status_code, failed.get_json()["code"]) == (503, "database-unavailable")


def test_a_disk_that_cannot_be_read_is_a_problem(client: FlaskClient, ann: dict[str, str], url: str) -> None:
    def fail(_file: object) -> str:
        raise PermissionError("the folder of the blobs")

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(service(client, FileService), "place", fail)
        failed = client.get(url, headers=ann)

    assert (failed.status_code, failed.get_json()["code"]) == (500, "internal-error")


def test_log_lines_before_flask_have_the_id_of_their_request(
    client: FlaskClient, ann: dict[str, str], url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    client.get("/1", headers=ann | {"X-Request-ID": "of-an-earlier-request"})
    capfd.readouterr()

    client.get(url, headers=WRONG_KEY | {"X-Real-IP": "192.0.2.8", "X-Request-ID": "of-the-download"})

    [line] = [line for line in capfd.readouterr().err.splitlines() if '"wrong key"' in line]
    assert "of-the-download" in line


def test_a_wrong_key_counts_once(client: FlaskClient, url: str) -> None:
    wrong = WRONG_KEY | {"X-Real-IP": "192.0.2.7"}
    statuses = [client.get(url, headers=wrong).status_code for _ in range(FAILURES_PER_MINUTE + 1)]
    assert statuses == [401] * FAILURES_PER_MINUTE + [429]


def test_a_link_is_answered_before_flask(client: FlaskClient, link: str) -> None:
    with requests_of_flask(client) as reached:
        response = client.get(link)
    assert (response.status_code, reached) == (200, [])


def test_a_link_has_the_headers_that_flask_gives(client: FlaskClient, link: str) -> None:
    usual, by_flask = client.get(f"{link}?disposition=inline"), client.head(f"{link}?disposition=inline")
    assert described(usual) == described(by_flask) | {"Content-Digest": usual.headers["Repr-Digest"]}


def test_a_link_says_how_a_browser_treats_the_file(client: FlaskClient, ann: dict[str, str]) -> None:
    picture = stored(client, "name=a.txt", ann, b"text that a browser may show")
    made = client.post(f"/{picture.split('/')[1]}/links", json={"disposition": "inline"}, headers=ann).get_json()
    response = client.get("/links/" + made["url"].rpartition("/")[2])
    assert response.headers["Content-Disposition"] == 'inline; filename="a.txt"'


def test_a_changed_token_is_refused(client: FlaskClient, link: str) -> None:
    text, _, signature = link.rpartition(".")
    other = signature[:-2] + ("AA" if signature[-2:] != "AA" else "BA")
    assert client.get(f"{text}.{other}").status_code == 403


def test_a_revoked_link_is_refused(client: FlaskClient, ann: dict[str, str], link: str) -> None:
    before = client.get(link).status_code
    client.delete(link, headers=ann)
    assert (before, client.get(link).status_code) == (200, 404)


def test_the_log_has_no_token(client: FlaskClient, link: str, capfd: pytest.CaptureFixture[str]) -> None:
    client.get(link)
    logged = capfd.readouterr().err
    assert ("/links/" in logged, link in logged) == (True, False)
