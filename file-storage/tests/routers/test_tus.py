"""The metadata of resumable uploads follows the same rules as the fields of a form."""

from base64 import b64encode

import pytest
from file_storage.app import create_app
from file_storage.config import Settings
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def client(settings: Settings, restored_logging: None) -> FlaskClient:
    return create_app().test_client()


def create(client: FlaskClient, comment: str, length: int, **more: str) -> TestResponse:
    metadata = {"filename": "a.bin", "comment": comment, **more}
    encoded = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in metadata.items())
    return client.post("/uploads/", headers=TUS | {"Upload-Length": str(length), "Upload-Metadata": encoded})


def test_a_comment_of_more_than_10_000_characters_is_refused(client: FlaskClient) -> None:
    response = create(client, "я" * 10_001, 3)

    assert response.status_code == 422
    assert response.json is not None
    assert response.json["type"] == "urn:pixmill:problem:invalid-fields"
    assert [error["pointer"] for error in response.json["errors"]] == ["/comment"]


def test_a_comment_of_10_000_characters_is_stored_whole(client: FlaskClient) -> None:
    response = create(client, "я" * 10_000, 0)

    assert response.status_code == 201
    file = client.get(f"/{response.headers['Pixmill-File-Id']}")
    assert file.json is not None
    assert file.json["comment"] == "я" * 10_000


def test_two_uploads_with_the_same_idempotency_key_are_one_file(client: FlaskClient) -> None:
    ids = []
    for _ in range(2):
        created = create(client, "once", 3, idempotency_key="invoice 7")
        headers = TUS | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        ids.append(client.patch(created.headers["Location"], headers=headers, data=b"abc").headers["Pixmill-File-Id"])

    assert ids[0] == ids[1]
    used = client.get("/idempotency-keys/invoice 7").json
    assert used is not None
    assert str(used["id"]) == ids[0]


def test_the_key_of_another_file_is_refused_when_the_upload_is_complete(client: FlaskClient) -> None:
    client.put("/?name=a.bin", data=b"other", headers={"Idempotency-Key": "invoice-8"})

    response = create(client, "", 0, idempotency_key="invoice-8")

    assert response.status_code == 422
    assert response.json is not None
    assert response.json["type"] == "urn:pixmill:problem:idempotency-key-reused"


def test_a_concatenation_with_a_key_is_the_file_of_the_key(client: FlaskClient) -> None:
    part = client.post("/uploads/", headers=TUS | {"Upload-Length": "3", "Upload-Concat": "partial"})
    url = part.headers["Location"]
    headers = TUS | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    client.patch(url, headers=headers, data=b"abc")
    key = b64encode(b"whole-1").decode()

    final = client.post(
        "/uploads/", headers=TUS | {"Upload-Concat": f"final;{url}", "Upload-Metadata": f"idempotency_key {key}"}
    )

    used = client.get("/idempotency-keys/whole-1").json
    assert used is not None
    assert str(used["id"]) == final.headers["Pixmill-File-Id"]


def test_one_unfinished_upload_too_many_is_refused(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    deferred = TUS | {"Upload-Defer-Length": "1"}
    with monkeypatch.context() as limited:
        limited.setenv("FILE_STORAGE_UPLOAD__MAX_UNFINISHED", "1")
        limited_client = create_app().test_client()

        first, second = (
            limited_client.post("/uploads/", headers=deferred),
            limited_client.post("/uploads/", headers=deferred),
        )

    assert first.status_code == 201
    assert (second.status_code, second.json["type"]) == (429, "urn:pixmill:problem:too-many-uploads")  # type: ignore[index]  # a problem


def test_a_concatenation_without_room_answers_as_other_uploads_and_leaves_the_parts(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = client.post("/uploads/", headers=TUS | {"Upload-Length": "3", "Upload-Concat": "partial"}).headers["Location"]
    content = TUS | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    client.patch(url, headers=content, data=b"abc")
    final = TUS | {"Upload-Concat": f"final;{url}"}
    with monkeypatch.context() as full:
        full.setenv("FILE_STORAGE_STORAGE__RESERVE_BYTES", str(2**62))
        without_room = create_app().test_client()

        refused, other = without_room.post("/uploads/", headers=final), create(without_room, "", 3)
        offset = without_room.head(url, headers=TUS).headers["Upload-Offset"]

    assert (refused.status_code, refused.json) == (other.status_code, other.json)
    assert refused.status_code == 507
    assert offset == "3"
    assert client.post("/uploads/", headers=final).status_code == 201


@pytest.mark.parametrize("key", ["", "ключ", "k" * 256])
def test_an_invalid_idempotency_key_is_refused_at_the_creation(client: FlaskClient, key: str) -> None:
    response = create(client, "", 3, idempotency_key=key)

    assert response.status_code == 422
    assert response.json is not None
    assert [error["pointer"] for error in response.json["errors"]] == ["/idempotency_key"]


@pytest.mark.parametrize(("override", "status"), [("PATCH", 204), ("delete", 204), ("HEAD", 405), ("OPTIONS", 405)])
def test_a_post_may_stand_for_a_patch_or_a_delete_and_for_no_method_without_a_body(
    client: FlaskClient, override: str, status: int
) -> None:
    url = client.post("/uploads/", headers=TUS | {"Upload-Length": "3"}).headers["Location"]
    headers = TUS | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}

    response = client.post(url, headers=headers | {"X-HTTP-Method-Override": override}, data=b"abc")

    assert response.status_code == status
    assert bool(response.data) == (status == 405), "a refusal has content, so that the front ends the connection"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT"])
def test_only_a_post_stands_for_another_method(client: FlaskClient, method: str) -> None:
    url = client.post("/uploads/", headers=TUS | {"Upload-Length": "3"}).headers["Location"]

    client.open(url, method=method, headers=TUS | {"X-HTTP-Method-Override": "DELETE"})

    assert client.head(url, headers=TUS).headers["Upload-Offset"] == "0"
