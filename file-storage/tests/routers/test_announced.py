"""nginx's questions before a large body, as file-storage gets them."""

import json
from pathlib import Path

import pytest
from file_storage.app import create_app
from file_storage.config import Settings
from file_storage.services.totals import stored
from flask.testing import FlaskClient
from service_kit.database import Database

ID = "a" * 32
ASKED = {"X-Body-Stage": "asked", "X-Request-ID": ID}
OVER = {"X-Body-Stage": "over", "X-Request-ID": ID}
SIZE = 20_000_000
UPLOADS = [("PUT", "/a.bin"), ("PUT", "/?name=a.bin"), ("POST", "/"), ("POST", "/?name=a.bin"), ("POST", "/batch")]


@pytest.fixture
def client(settings: Settings, restored_logging: None) -> FlaskClient:
    """Return a client of a service without nginx."""
    return create_app().test_client()


@pytest.fixture
def nginx(settings: Settings, restored_logging: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FlaskClient:
    """Return a client of a service whose bodies nginx writes."""
    (tmp_path / "incoming").mkdir()
    monkeypatch.setenv("FILE_STORAGE_UPLOAD__BODY_FOLDER", str(tmp_path / "incoming"))
    return create_app().test_client()


def numbers(settings: Settings) -> tuple[int, int]:
    """Return the number of files, and of reserved bytes."""
    with Database(settings.database.url, 1).connect() as connection:
        totals = stored(connection)
    return totals.files, totals.reserved


@pytest.mark.parametrize(("method", "path"), UPLOADS)
def test_a_yes_holds_the_bytes_until_the_request_is_over(
    nginx: FlaskClient, settings: Settings, method: str, path: str
) -> None:
    yes = nginx.open(path, method=method, headers=ASKED | {"X-Body-Length": str(SIZE)})

    assert (yes.status_code, numbers(settings)) == (204, (0, SIZE))
    assert nginx.open(path, method=method, headers=OVER).status_code == 204
    assert numbers(settings) == (0, 0)


def test_a_no_has_its_document_in_a_header_too(nginx: FlaskClient, settings: Settings) -> None:
    headers = ASKED | {"X-Body-Length": str(10**15), "Accept-Language": "ru"}

    no = nginx.put("/a.bin", headers=headers)

    assert no.status_code == 413
    assert no.headers["X-Problem"].isascii()
    assert json.loads(no.headers["X-Problem"]) == no.json
    assert numbers(settings) == (0, 0)


def test_an_upload_from_nginx_uses_the_promise(nginx: FlaskClient, settings: Settings, tmp_path: Path) -> None:
    nginx.put("/a.bin", headers=ASKED | {"X-Body-Length": str(SIZE)})
    body = tmp_path / "incoming/0000000001"
    body.write_bytes(b"x" * SIZE)

    answer = nginx.put("/a.bin", headers={"X-Body-File": str(body), "X-Body-Length": str(SIZE), "X-Request-ID": ID})

    assert answer.status_code == 201
    assert numbers(settings) == (1, 0)


def test_without_nginx_these_headers_have_no_meaning(client: FlaskClient, settings: Settings, tmp_path: Path) -> None:
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    upload_id = client.post("/uploads/", headers=tus).headers["Location"].rsplit("/", 1)[-1]
    pretended = {"X-Body-File": str(tmp_path / "x"), "X-Body-Length": str(SIZE), "X-Request-ID": upload_id}

    for stage in ("asked", "over"):
        assert client.put("/a.bin", data=b"x", headers=pretended | {"X-Body-Stage": stage}).status_code == 201

    assert numbers(settings) == (2, 5)
