"""The routes of links to single files: what they refuse, and what a link says and does."""

import hashlib
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

Start = Callable[[str], FlaskClient]
CONTENT = b"hello, reader"
WEEK = 7 * 86_400


@pytest.fixture(scope="module")
def client(start: Start) -> FlaskClient:
    return start("0")


@pytest.fixture(scope="module")
def file_id(client: FlaskClient) -> int:
    made = client.put("/?name=letter.txt", data=CONTENT).json
    assert isinstance(made, dict)
    return int(made["id"])


def link_to(client: FlaskClient, file_id: int, **fields: object) -> dict[str, object]:
    made = client.post(f"/{file_id}/links", json=fields)
    assert made.status_code == 201, made.text
    assert isinstance(made.json, dict)
    return made.json


def path_of(link: dict[str, object]) -> str:
    """Return the path of the link's URL, under the path at which the test client has the application."""
    return str(link["url"]).removeprefix("http://localhost")


def ids(response: TestResponse) -> list[int]:
    assert isinstance(response.json, list)
    return [link["id"] for link in response.json]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], ""),
        *(({"expires_in": wrong}, "/expires_in") for wrong in (0, -1, WEEK + 1, "60", 1.5, True, None)),
        *(({"note": wrong}, "/note") for wrong in ("x" * 256, "a\0b", 7, None)),
        ({"disposition": "show"}, "/disposition"),
        ({"password": "secret"}, "/password"),
        ({"file_ids": [1]}, "/file_ids"),
    ],
)
def test_a_link_that_cannot_be_is_refused(client: FlaskClient, file_id: int, body: object, pointer: str) -> None:
    before = client.get("/links").json

    refused = client.post(f"/{file_id}/links", json=body)

    assert refused.json is not None
    assert (refused.status_code, [error["pointer"] for error in refused.json["errors"]]) == (422, [pointer])
    assert client.get("/links").json == before


@pytest.mark.parametrize("seconds", [1, WEEK])
def test_a_link_says_until_when_it_is_valid(client: FlaskClient, file_id: int, seconds: int) -> None:
    """RFC 9110, 5.6.7: an HTTP date, which has whole seconds."""
    earliest = int(time.time()) + seconds

    link = link_to(client, file_id, expires_in=seconds)

    assert earliest <= parsedate_to_datetime(str(link["expires_at"])).timestamp() <= time.time() + seconds + 1


def test_the_location_of_a_link_is_its_url_under_the_path_of_the_service(client: FlaskClient, file_id: int) -> None:
    mounted = {"SCRIPT_NAME": "/api/file-server"}

    made = client.post(f"/{file_id}/links", json={}, environ_overrides=mounted)

    assert made.json is not None
    assert made.headers["Location"] == made.json["url"]
    assert made.json["url"].startswith("http://localhost/api/file-server/links/")


def test_a_link_to_a_file_that_does_not_exist_is_refused(client: FlaskClient) -> None:
    assert client.post(f"/{2**40}/links", json={}).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": '"another"'}], ids=["usual", "unusual"])
@pytest.mark.parametrize(
    ("fields", "query", "expected"),
    [
        ({}, "", "attachment"),
        ({}, "?disposition=inline", "inline"),
        ({"disposition": "inline"}, "", "inline"),
        ({"disposition": "inline"}, "?disposition=attachment", "inline"),
        ({"disposition": "attachment"}, "?disposition=inline", "attachment"),
    ],
)
def test_the_disposition_of_a_link_is_stronger_than_that_of_the_request(
    client: FlaskClient,
    file_id: int,
    fields: dict[str, object],
    query: str,
    expected: str,
    headers: dict[str, str],
) -> None:
    """RFC 6266, 4.2: the type comes first. Flask answers only what `usual_downloads` passes on."""
    sent = client.get(path_of(link_to(client, file_id, **fields)) + query, headers=headers)

    assert (sent.status_code, sent.headers["ETag"]) == (200, f'"{hashlib.sha256(CONTENT).hexdigest()}"')
    assert sent.headers["Content-Disposition"].partition(";")[0] == expected


@pytest.mark.parametrize("query", ["?disposition=show", "?color=red"])
def test_a_wrong_query_at_a_link_is_refused(client: FlaskClient, file_id: int, query: str) -> None:
    assert client.get(path_of(link_to(client, file_id)) + query).status_code == 422


def test_the_list_has_pages_and_no_address_of_a_link(client: FlaskClient, file_id: int) -> None:
    made = [link_to(client, file_id, note=f"n{n}") for n in range(3)]
    first = int(str(made[0]["id"]))

    page = client.get(f"/links?limit=2&after={first - 1}", environ_overrides={"SCRIPT_NAME": "/api/file-server"})
    address = page.headers["Link"].partition("<")[2].partition(">")[0]
    rest = client.get(address.removeprefix("/api/file-server"))

    assert address.startswith("/api/file-server/links?")
    assert ids(page) + ids(rest) == [link["id"] for link in made]
    assert path_of(made[0]).rsplit("/", 1)[-1] not in page.text


@pytest.mark.parametrize("query", ["after=-1", "after=x", f"after={2**63}", "limit=0", "limit=x", "owner=ann"])
def test_a_wrong_page_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/links?{query}").status_code == 422


def test_a_revoked_link_is_gone(client: FlaskClient, file_id: int) -> None:
    link = link_to(client, file_id)

    revoked = client.delete(f"/links/{link['id']}")

    assert (revoked.status_code, revoked.data) == (204, b"")
    assert client.get(path_of(link)).status_code == 404
    assert client.delete(f"/links/{link['id']}").status_code == 404
    assert link["id"] not in ids(client.get("/links"))
