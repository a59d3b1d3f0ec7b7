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


def create(client: FlaskClient, comment: str, length: int) -> TestResponse:
    metadata = {"filename": "a.bin", "comment": comment}
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
