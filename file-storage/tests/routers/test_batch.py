"""Requests for many files that cannot be, refused as a whole, and problems of single files among the others."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO

import pytest
import svcs
from flask.testing import FlaskClient
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.principals import Scope
from werkzeug.test import TestResponse

Start = Callable[[str], FlaskClient]
KEY = {"idempotency_key": "once"}


@pytest.fixture(scope="module")
def client(start: Start) -> FlaskClient:
    return start("0")


def upload(client: FlaskClient, contents: Sequence[bytes], described: object = None) -> TestResponse:
    data: dict[str, object] = {"file": [(BytesIO(content), f"{n}.txt") for n, content in enumerate(contents)]}
    if described is not None:
        data["json"] = json.dumps(described)
    return client.post("/batch", data=data)


def problem(response: TestResponse) -> tuple[int, list[str]]:
    """Return the status, and the pointers of a problem."""
    assert response.json is not None, response.text
    return response.status_code, [error["pointer"] for error in response.json.get("errors", [])]


def with_key(client: FlaskClient, *scopes: Scope) -> Mapping[str, str]:
    with client.application.app_context():
        made = svcs.flask.get(KeyService).create(KeyRequest("ann", frozenset(scopes)))
    return {"Authorization": f"Bearer {made.secret}"}


@pytest.mark.parametrize(
    ("count", "described", "status", "pointers"),
    [
        (2, [{}], 422, [""]),
        (1, [{}, {}], 422, [""]),
        (1, [], 422, [""]),
        (1, {"name": "x"}, 422, [""]),
        (2, [{}, {"title": "x"}], 422, ["/1/title"]),
        (2, [{}, 7], 422, ["/1"]),
        (2, [{}, {"folder": "a/../b"}], 422, ["/1/folder"]),
        (2, [KEY, KEY], 422, [""]),
        (1, [{"idempotency_key": ""}], 422, ["/0/idempotency_key"]),
        (1, [{"idempotency_key": "ключ"}], 422, ["/0/idempotency_key"]),
        (101, None, 400, []),
    ],
)
def test_uploads_that_cannot_be_store_nothing(
    client: FlaskClient, count: int, described: object, status: int, pointers: list[str]
) -> None:
    before = client.get("/").json

    refused = upload(client, [b"x"] * count, described)

    assert problem(refused) == (status, pointers)
    assert client.get("/").json == before


def test_a_hundred_files_are_stored_at_once_with_the_fields_of_each(client: FlaskClient) -> None:
    described = [{"name": f"n{n}", "comment": f"c{n}"} for n in range(100)]

    stored = upload(client, [b"%d" % n for n in range(100)], described).json

    assert stored is not None
    files = [entry["file"] for entry in stored["files"]]
    assert [(file["name"], file["comment"]) for file in files] == [(f"n{n}", f"c{n}") for n in range(100)]
    assert files[57]["sha256"] == hashlib.sha256(b"57").hexdigest()


def test_the_key_of_another_upload_is_a_problem_of_its_file_alone(client: FlaskClient) -> None:
    upload(client, [b"before"], [{"idempotency_key": "used"}])

    stored = upload(client, [b"1", b"now", b"3"], [{}, {"idempotency_key": "used"}, {}]).json

    assert stored is not None
    assert ["file" in entry for entry in stored["files"]] == [True, False, True]
    assert stored["files"][1]["problem"]["code"] == "idempotency-key-reused"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/copies"]),
        ([], [""]),
        ({"copies": []}, ["/copies"]),
        ({"copies": [{"file_id": 1}] * 101}, ["/copies"]),
        ({"copies": [{"file_id": 1}], "name": "x"}, ["/name"]),
        ({"copies": [{"file_id": 1}, {}]}, ["/copies/1/file_id"]),
        ({"copies": [{"file_id": 1}, {"file_id": 2**40, "folder": "a/../b"}]}, ["/copies/1/folder"]),
        ({"copies": [{"file_id": 1}, {"file_id": 2**40, "name": "\u202e"}]}, ["/copies/1/name"]),
        *(({"copies": [{"file_id": wrong}]}, ["/copies/0/file_id"]) for wrong in (0, -1, "1", True, 1.5, 2**63)),
        ({"copies": [{"file_id": 1, "comment": "x"}]}, ["/copies/0/comment"]),
        ({"copies": [{"file_id": 1, **KEY}, {"file_id": 2, **KEY}]}, [""]),
    ],
)
def test_copies_that_cannot_be_are_refused(client: FlaskClient, body: object, pointers: list[str]) -> None:
    assert problem(client.post("/copies", json=body)) == (422, pointers)


def test_a_name_that_its_source_makes_invisible_is_refused(client: FlaskClient) -> None:
    source = client.put("/", query_string={"name": "a.jpg"}, data=b"content").get_json()["id"]

    refused = client.post("/copies", json={"copies": [{"file_id": source}, {"file_id": source, "name": "..jpg"}]})

    assert problem(refused) == (422, ["/copies/1/name"])


def test_who_may_not_read_files_may_not_copy_them(client: FlaskClient) -> None:
    body = {"copies": [{"file_id": 2**40}]}

    refused = client.post("/copies", json=body, headers=with_key(client, Scope.FILES_WRITE))
    allowed = client.post("/copies", json=body, headers=with_key(client, Scope.FILES_WRITE, Scope.FILES_READ))

    assert (refused.status_code, allowed.status_code) == (403, 200)
    assert 'scope="files:read"' in refused.headers["WWW-Authenticate"]
