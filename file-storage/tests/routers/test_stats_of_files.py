"""The statistics of files in the API."""

from datetime import UTC, datetime
from io import BytesIO

import pytest
from file_storage.app import create_app
from file_storage.config import Settings
from flask.testing import FlaskClient

from tests.support.images import photo


@pytest.fixture
def client(settings: Settings, restored_logging: None) -> FlaskClient:
    return create_app().test_client()


def upload(client: FlaskClient, *contents: bytes) -> None:
    for content in contents:
        answer = client.post("/", data={"file": (BytesIO(content), "a.bin")})
        assert answer.status_code == 201


def test_files_and_bytes_are_added_up_by_type_and_month(client: FlaskClient) -> None:
    picture = photo()
    upload(client, b"one text", picture, picture)

    numbers = client.get("/stats").json

    assert numbers is not None
    assert numbers["by_type"] == [
        {"media_type": "image/*", "files": 2, "bytes": 2 * len(picture)},
        {"media_type": "text/*", "files": 1, "bytes": 8},
    ]
    month = datetime.now(UTC).strftime("%Y-%m")
    assert numbers["by_month"] == [{"month": month, "files": 3, "bytes": 2 * len(picture) + 8}]


def test_a_media_type_of_the_numbers_is_a_filter_of_the_list(client: FlaskClient) -> None:
    upload(client, b"one text", photo())

    numbers = client.get("/stats").json
    assert numbers is not None
    listed = {
        kind["media_type"]: len(client.get("/", query_string={"media_type": kind["media_type"]}).json or [])
        for kind in numbers["by_type"]
    }

    assert listed == {"image/*": 1, "text/*": 1}


def test_without_files_there_is_no_type_and_no_month(client: FlaskClient) -> None:
    numbers = client.get("/stats").json

    assert numbers is not None
    assert (numbers["by_type"], numbers["by_month"]) == ([], [])
