"""nginx's questions before a large body, as file-storage gets them."""

import json
import shutil
import threading
from io import BytesIO
from pathlib import Path

import pytest
from file_storage.app import create_app
from file_storage.config import Settings
from file_storage.services.totals import stored
from flask.testing import FlaskClient
from service_kit.database import Database
from sqlalchemy import Engine, event, text

pytestmark = pytest.mark.slow

ID = "a" * 32
ASKED = {"X-Body-Stage": "asked", "X-Request-ID": ID}
OVER = {"X-Body-Stage": "over", "X-Request-ID": ID}
SIZE = 20_000_000
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
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
    kind = FORM if path in ("/", "/batch") else {}
    # nginx accepts any number of zeros in front, int() does not.
    yes = nginx.open(path, method=method, headers=ASKED | kind | {"X-Body-Length": f"{SIZE:05000}"})

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


@pytest.mark.parametrize(
    ("method", "path", "status", "headers"),
    [
        ("PUT", "/a.bin", 415, {"Content-Encoding": "gzip"}),
        ("POST", "/?name=a.bin", 415, {"Content-Encoding": "gzip"}),
        ("PUT", "/a.bin", 400, {"Content-Digest": "sha-256=1"}),
        ("POST", "/batch", 400, FORM | {"Content-Digest": "sha-256=1"}),
        ("PUT", "/a.bin", 400, {"Idempotency-Key": "a" * 1000}),
        ("POST", "/", 400, FORM | {"Idempotency-Key": "a" * 1000}),
        ("PUT", "/a.bin?unknown=1", 422, {}),
        ("POST", "/", 415, {"Content-Type": "text/plain"}),
        ("POST", "/", 400, {"Content-Type": "multipart/form-data"}),
        ("POST", "/batch", 415, {"Content-Type": "text/plain"}),
        ("PUT", "/a.bin", 413, {}),
        ("POST", "/", 413, FORM),
    ],
)
def test_a_question_gets_each_refusal_that_the_upload_would_get_before_its_body_is_read(
    settings: Settings,
    nginx: FlaskClient,
    tmp_path: Path,
    method: str,
    path: str,
    status: int,
    headers: dict[str, str],
) -> None:
    size = settings.upload.max_bytes + 2_000_000 if status == 413 else SIZE
    body = tmp_path / "incoming/0000000001"
    with body.open("wb") as file:
        file.truncate(size)
    sent = {"X-Body-File": str(body), "X-Body-Length": str(size), "X-Request-ID": ID}

    # Without a stream, the client would invent a form and its boundary.
    upload = nginx.open(path, method=method, input_stream=BytesIO(), headers=headers | sent)
    asked = headers | ASKED | {"X-Body-Length": str(size)}
    question = nginx.open(path, method=method, input_stream=BytesIO(), headers=asked)

    assert (question.status_code, question.json) == (status, upload.json)
    assert numbers(settings) == (0, 0)


def test_a_form_is_promised_room_for_the_copies_of_its_files(
    settings: Settings, restored_logging: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FILE_STORAGE_UPLOAD__BODY_FOLDER", str(tmp_path / "incoming"))
    monkeypatch.setenv("FILE_STORAGE_UPLOAD__MAX_BYTES", str(10**12))
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setenv("FILE_STORAGE_STORAGE__RESERVE_BYTES", str(free // 4))
    nginx = create_app().test_client()
    asked = ASKED | {"X-Body-Length": str(free // 2)}

    answers = [nginx.open(path, method=method, headers=asked | FORM) for method, path in (("POST", "/"), ("PUT", "/a"))]

    assert [answer.status_code for answer in answers] == [507, 204]
    assert numbers(settings) == (0, free // 2)


def test_a_body_that_came_without_a_question_needs_room(
    settings: Settings, restored_logging: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "incoming").mkdir()
    monkeypatch.setenv("FILE_STORAGE_UPLOAD__BODY_FOLDER", str(tmp_path / "incoming"))
    monkeypatch.setenv("FILE_STORAGE_STORAGE__RESERVE_BYTES", str(shutil.disk_usage(tmp_path).total))
    chunked = 10_240_000
    body = tmp_path / "incoming/0000000001"
    body.write_bytes(b"x" * chunked)
    headers = {"X-Body-File": str(body), "X-Body-Length": str(chunked), "X-Request-ID": ID}

    assert create_app().test_client().put("/a.bin", headers=headers).status_code == 507


def test_a_stored_upload_succeeds_even_if_its_promise_cannot_be_given_back(
    nginx: FlaskClient, settings: Settings, tmp_path: Path
) -> None:
    nginx.put("/a.bin", headers=ASKED | {"X-Body-Length": str(SIZE)})
    body = tmp_path / "incoming/0000000001"
    body.write_bytes(b"x" * SIZE)
    with Database(settings.database.url, 1).begin() as connection:
        connection.execute(text("CREATE TRIGGER kept BEFORE DELETE ON uploads BEGIN SELECT RAISE(ABORT, 'kept'); END"))

    answer = nginx.put("/a.bin", headers={"X-Body-File": str(body), "X-Body-Length": str(SIZE), "X-Request-ID": ID})

    assert answer.status_code == 201
    assert numbers(settings) == (1, 0)


def test_the_report_of_a_request_without_a_promise_writes_nothing(nginx: FlaskClient) -> None:
    statements: list[str] = []
    # The service's threads have statements of their own.
    this_thread = threading.get_ident()

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if threading.get_ident() == this_thread:
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert nginx.put("/a.bin", headers=OVER).status_code == 204
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    begin, select = statements
    assert begin == "BEGIN DEFERRED"
    assert select.startswith("SELECT")


def test_a_repeated_upload_with_its_key_finds_its_file_although_the_quota_is_full(
    nginx: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"Idempotency-Key": "invoice-7"}
    first = nginx.put("/a.bin", data=b"small", headers=key)
    monkeypatch.setenv("FILE_STORAGE_STORAGE__QUOTA_BYTES", "5")
    full = create_app().test_client()

    again = full.put("/a.bin", data=b"small", headers=key)
    question = full.put("/a.bin", headers=ASKED | key | {"X-Body-Length": f"{SIZE}"})
    another = full.put("/a.bin", data=b"small")

    assert (again.status_code, again.get_json()["id"]) == (first.status_code, first.get_json()["id"])
    # The disk has no quota: the bytes of the repetition come a second time.
    assert (question.status_code, numbers(settings)) == (204, (1, SIZE))
    assert another.status_code == 507


def test_without_nginx_these_headers_have_no_meaning(client: FlaskClient, settings: Settings, tmp_path: Path) -> None:
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    upload_id = client.post("/uploads/", headers=tus).headers["Location"].rsplit("/", 1)[-1]
    pretended = {"X-Body-File": str(tmp_path / "x"), "X-Body-Length": str(SIZE), "X-Request-ID": upload_id}

    for stage in ("asked", "over"):
        assert client.put("/a.bin", data=b"x", headers=pretended | {"X-Body-Stage": stage}).status_code == 201

    assert numbers(settings) == (2, 5)
