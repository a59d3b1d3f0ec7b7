"""Deleting the bytes of files while their store is away."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.models import Blob, File, ObjectState, StoredObject
from file_storage.services.expiry import ExpiryService
from file_storage.services.trash import TrashService
from file_storage.storage import s3
from service_kit.access.principals import LOCAL
from service_kit.database import Database
from service_kit.settings import load
from sqlalchemy import Connection, func, insert, select, update

from tests.support.web_server import WebServer

FILES = 7


class FailingS3(WebServer):
    """An S3 server that answers each deletion with an error, and records it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Failing)
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class _Failing(BaseHTTPRequestHandler):
    server: FailingS3

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def store() -> Iterator[FailingS3]:
    server = FailingS3()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def services(settings: Settings, store: FailingS3, monkeypatch: pytest.MonkeyPatch) -> svcs.Container:
    """Return the services over the failing store, with files whose bytes no other file has."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{store.server_address[1]}"),
        ("FILE_STORAGE_STORAGE__URL", "s3://files/prefix"),
        ("FILE_STORAGE_TRASH__SECONDS", "0"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(s3, "RETRY_TIMEOUT", timedelta(0))
    services = svcs.Container(create_registry(load(Settings)))
    with services.get(Database).begin() as connection:
        for number in range(FILES):
            sha256 = f"{number:064x}"
            connection.execute(insert(Blob).values(sha256=sha256, size=1, file_count=1))
            values = {"name": "a", "extension": "", "comment": "", "size": 1, "media_type": "", "search_name": "a"}
            connection.execute(insert(File).values(sha256=sha256, **values))
    return services


def files(connection: Connection) -> list[int]:
    return list(connection.scalars(select(File.id).order_by(File.id)))


def test_a_request_asks_a_store_that_is_away_once(services: svcs.Container, store: FailingS3) -> None:
    with services.get(Database).connect() as connection:
        ids = files(connection)

    services.get(TrashService).delete_all(LOCAL, ids[:5])
    services.get(TrashService).delete_all(LOCAL, ids[5:])

    with services.get(Database).connect() as connection:
        assert files(connection) == []
        unused = select(func.count()).where(StoredObject.state == ObjectState.UNUSED)
        assert connection.scalar(unused) == FILES, "gc removes them"
    assert len(store.asked) == 1


def test_expired_files_wait_for_a_store_that_is_away(services: svcs.Container, store: FailingS3) -> None:
    with services.get(Database).connect() as connection:
        first, *others = files(connection)
    services.get(TrashService).delete(LOCAL, first)
    with services.get(Database).begin() as connection:
        connection.execute(update(File).values(expires_at=1))

    services.get(ExpiryService).expire()

    with services.get(Database).connect() as connection:
        assert files(connection) == others
    assert len(store.asked) == 1
