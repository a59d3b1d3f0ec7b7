"""The routes of links for sets of files: responses by visitor, and refusals."""

import base64
import io
import json
import zipfile
from http.cookies import SimpleCookie

import pytest
from file_storage.app import create_app
from file_storage.config import Settings
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

pytestmark = pytest.mark.slow

DAY = 86_400


@pytest.fixture
def client(settings: Settings, restored_logging: None) -> FlaskClient:
    return create_app().test_client()


@pytest.fixture
def file_id(client: FlaskClient) -> int:
    return upload(client, b"hello, reader")


def upload(client: FlaskClient, content: bytes, name: str = "letter.txt") -> int:
    return int(str(document(client.put(f"/?name={name}", data=content))["id"]))


def document(response: TestResponse) -> dict[str, object]:
    assert response.json is not None, response.text
    return dict(response.json)


def share(client: FlaskClient, *file_ids: int, **fields: object) -> str:
    """Create a link for files; return its token."""
    made = client.post("/links", json={"file_ids": file_ids, **fields})
    assert made.status_code == 201, made.text
    return str(document(made)["token"])


def problem(response: TestResponse) -> tuple[int, str]:
    return response.status_code, str(document(response)["type"]).removeprefix("urn:pixmill:problem:")


def basic(password: str, user: str = "") -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def test_a_link_says_where_its_page_and_its_json_are(client: FlaskClient, file_id: int) -> None:
    made = client.post("/links", json={"file_ids": [file_id], "note": "for Carol", "expires_in": 2 * DAY})

    answer = document(made)
    token = str(answer["token"])
    assert len(token) >= 22, "at least 128 bits in base64"
    assert answer["url"] == f"http://localhost/s/{token}"
    assert answer["api_url"] == made.headers["Location"] == f"http://localhost/shared/{token}"
    assert answer["file_count"] == 1


def test_the_json_of_a_link_has_what_a_page_shows(client: FlaskClient, file_id: int) -> None:
    other = upload(client, b"another one", "б.txt")
    token = share(client, other, file_id, note="for Carol")

    answer = client.get(f"/shared/{token}")

    shown = document(answer)
    assert shown.pop("expires_at")
    assert answer.headers["Cache-Control"] == "no-store"
    text = {"extension": ".txt", "media_type": "text/plain", "width": None, "height": None}
    assert shown == {
        "note": "for Carol",
        "size": 24,
        "archive_url": f"/shared/{token}/archive",
        "files": [
            {"id": other, "name": "б", "size": 11, **text, "download_url": f"/shared/{token}/{other}"},
            {"id": file_id, "name": "letter", "size": 13, **text, "download_url": f"/shared/{token}/{file_id}"},
        ],
    }


def test_a_file_of_a_link_is_sent_as_a_download_is(client: FlaskClient, file_id: int) -> None:
    token = share(client, file_id)

    by_link, by_id = client.get(f"/shared/{token}/{file_id}"), client.get(f"/{file_id}/download")

    assert by_link.status_code == 200
    for header in ("ETag", "Last-Modified", "X-Accel-Redirect", "Content-Disposition", "Repr-Digest", "Content-Type"):
        assert by_link.headers[header] == by_id.headers[header]
    again = client.get(f"/shared/{token}/{file_id}", headers={"If-None-Match": by_id.headers["ETag"]})
    assert again.status_code == 304


def test_the_disposition_of_a_link_is_stronger_than_that_of_the_request(client: FlaskClient, file_id: int) -> None:
    token = share(client, file_id, disposition="inline")

    answer = client.get(f"/shared/{token}/{file_id}?disposition=attachment")

    assert answer.headers["Content-Disposition"] == 'inline; filename="letter.txt"'


def test_the_archive_of_a_link_has_all_its_files(client: FlaskClient, file_id: int) -> None:
    token = share(client, upload(client, b"another one"), file_id)

    answer = client.get(f"/shared/{token}/archive")

    assert answer.mimetype == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    assert content == {"letter.txt": b"another one", "letter (2).txt": b"hello, reader"}


def test_a_link_whose_files_were_all_deleted_shows_none_and_has_no_archive(client: FlaskClient, file_id: int) -> None:
    token = share(client, file_id)

    client.delete(f"/{file_id}")

    assert document(client.get(f"/shared/{token}"))["files"] == []
    assert problem(client.get(f"/shared/{token}/archive")) == (404, "archive-empty")
    assert problem(client.get(f"/shared/{token}/{file_id}")) == (404, "file-not-found")


def test_a_link_that_is_unknown_or_revoked_is_not_found(client: FlaskClient, file_id: int) -> None:
    token = share(client, file_id)
    client.delete(f"/links/{token}")

    addresses = [f"/shared/{name}{part}" for name in (token, "unknown") for part in ("", f"/{file_id}", "/archive")]
    answers = {problem(client.get(address)) for address in addresses}

    assert answers == {(404, "link-not-found")}


@pytest.mark.slow
def test_a_locked_link_shows_nothing_without_its_password(client: FlaskClient, file_id: int) -> None:
    token = share(client, file_id, password="right")

    for part in ("", f"/{file_id}", "/archive"):
        answer = client.get(f"/shared/{token}{part}")
        assert problem(answer) == (401, "password-required")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert problem(client.get(f"/shared/{token}", headers=basic("wrong"))) == (401, "wrong-password")
    shown = client.get(f"/shared/{token}", headers=basic("right", user="anyone"))
    assert shown.status_code == 200


def test_a_page_that_asks_for_json_gets_no_dialog_of_the_browser(client: FlaskClient, file_id: int) -> None:
    token = share(client, file_id, password="right")

    answer = client.get(f"/shared/{token}", headers={"Accept": "application/json"})

    assert answer.status_code == 401
    assert not answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.slow
def test_unlocking_sets_a_cookie_that_opens_this_link_alone(client: FlaskClient, file_id: int) -> None:
    token, other = (share(client, file_id, password="right") for _ in range(2))
    assert problem(client.post(f"/shared/{token}/unlock", json={"password": "wrong"})) == (401, "wrong-password")

    unlocked = client.post(f"/shared/{token}/unlock", json={"password": "right"})

    assert document(unlocked)["expires_at"]
    [cookie] = SimpleCookie(unlocked.headers["Set-Cookie"]).values()
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (f"/shared/{token}", True, "Lax")
    assert client.get(f"/shared/{token}/{file_id}").status_code == 200
    assert client.get(f"/shared/{other}", headers={"Cookie": f"pixmill-shared={cookie.value}"}).status_code == 401


BAD_LINKS: list[tuple[object, int, str]] = [
    ({}, 422, "invalid-fields"),
    ([], 422, "invalid-fields"),
    ({"file_ids": []}, 422, "invalid-fields"),
    ({"file_ids": None}, 422, "invalid-fields"),
    ({"file_ids": 1}, 422, "invalid-fields"),
    ({"file_ids": ["1"]}, 422, "invalid-fields"),
    ({"file_ids": [True]}, 422, "invalid-fields"),
    ({"file_ids": [1.5]}, 422, "invalid-fields"),
    ({"file_ids": [0]}, 422, "invalid-fields"),
    ({"file_ids": [-1]}, 422, "invalid-fields"),
    ({"file_ids": [2**63]}, 422, "invalid-fields"),
    ({"file_ids": [1] * 1001}, 422, "invalid-fields"),
    ({"file_ids": [1, 2**63 - 1]}, 404, "file-not-found"),
    ({"file_ids": [1], "expires_in": 0}, 422, "invalid-fields"),
    ({"file_ids": [1], "expires_in": 90 * DAY + 1}, 422, "invalid-fields"),
    ({"file_ids": [1], "expires_in": "60"}, 422, "invalid-fields"),
    ({"file_ids": [1], "expires_in": None}, 422, "invalid-fields"),
    ({"file_ids": [1], "note": "x" * 256}, 422, "invalid-fields"),
    ({"file_ids": [1], "note": "\0"}, 422, "invalid-fields"),
    ({"file_ids": [1], "password": ""}, 422, "invalid-fields"),
    ({"file_ids": [1], "password": "x" * 201}, 422, "invalid-fields"),
    ({"file_ids": [1], "password": 1234}, 422, "invalid-fields"),
    ({"file_ids": [1], "disposition": "show"}, 422, "invalid-fields"),
    ({"file_ids": [1], "filter": {}}, 422, "invalid-fields"),
]


def test_links_that_cannot_be_are_refused(client: FlaskClient, file_id: int) -> None:
    assert file_id == 1, "the cases name it"

    answers = [(body, *problem(client.post("/links", json=body))) for body, _, _ in BAD_LINKS]

    assert answers == BAD_LINKS
    assert client.get("/links").json == []


def test_an_id_that_is_given_twice_counts_once(client: FlaskClient, file_id: int) -> None:
    token = share(client, file_id, file_id)

    assert client.get(f"/shared/{token}").text.count('"download_url"') == 1


BAD_CHANGES: list[tuple[str, object, int, str]] = [
    ("{set}", [], 422, "invalid-fields"),
    ("{set}", {"note": 1}, 422, "invalid-fields"),
    ("{set}", {"expires_in": 0}, 422, "invalid-fields"),
    ("{set}", {"expires_in": 90 * DAY + 1}, 422, "invalid-fields"),
    ("{set}", {"password": "new"}, 422, "invalid-fields"),
    ("{file}", {"expires_in": 60}, 409, "link-expiry-signed"),
    ("999", {"note": "x"}, 404, "link-not-found"),
    ("0", {"note": "x"}, 404, "link-not-found"),
    ("9" * 19, {"note": "x"}, 404, "link-not-found"),
    ("A" * 32, {"note": "x"}, 404, "link-not-found"),
    ("nonsense", {"note": "x"}, 403, "invalid-link"),
]


def test_changes_that_cannot_be_are_refused(client: FlaskClient, file_id: int) -> None:
    made = document(client.post("/links", json={"file_ids": [file_id], "note": "kept"}))["id"]
    signed = document(client.post(f"/{file_id}/links", json={"note": "kept"}))["id"]

    answers = [
        (link, body, *problem(client.patch(f"/links/{link.format(set=made, file=signed)}", json=body)))
        for link, body, _, _ in BAD_CHANGES
    ]

    assert answers == BAD_CHANGES
    assert [link["note"] for link in client.get("/links").json or []] == ["kept", "kept"]


def test_the_response_to_a_changed_link_equals_its_entry_of_the_list(client: FlaskClient, file_id: int) -> None:
    share(client, file_id, password="right", note="before")
    [listed] = client.get("/links").json or []

    changed = document(client.patch(f"/links/{listed['id']}", json={"note": "after"}))

    assert changed == {**listed, "note": "after"}
    assert document(client.patch(f"/links/{listed['id']}", json={})) == changed
    assert (listed["file_id"], listed["file_count"], listed["has_password"]) == (None, 1, True)


BAD_PASSWORDS: list[tuple[object, int, str]] = [
    ({}, 422, "invalid-fields"),
    ({"password": ""}, 422, "invalid-fields"),
    ({"password": None}, 422, "invalid-fields"),
    ({"password": "x" * 201}, 422, "invalid-fields"),
    ({"password": "\udcff"}, 422, "invalid-fields"),
    ("right", 422, "invalid-fields"),
]


def test_what_is_not_a_password_is_refused(client: FlaskClient) -> None:
    def refusal(body: object) -> tuple[int, str]:
        sent = json.dumps(body)
        return problem(client.post("/shared/unknown/unlock", data=sent, content_type="application/json"))

    answers = [(body, *refusal(body)) for body, _, _ in BAD_PASSWORDS]

    assert answers == BAD_PASSWORDS


def test_a_password_for_an_unknown_link_is_not_found(client: FlaskClient) -> None:
    assert problem(client.post("/shared/unknown/unlock", json={"password": "x"})) == (404, "link-not-found")
    assert problem(client.post("/shared/unknown/unlock", data="x")) == (415, "unsupported-media-type")
