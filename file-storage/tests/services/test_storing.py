"""An upload removes what has expired only if it finds no room without it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.models import File, Link, Upload
from file_storage.services.expiry import EXPIRE_BATCH
from file_storage.services.links import LinkService, NewLink
from file_storage.services.names import FileName
from file_storage.services.promises import Promises
from file_storage.services.shared_sets import NewSet, SharedSets
from file_storage.services.storing import Details, NewCopy, StoringService
from file_storage.services.trash import TrashService
from file_storage.services.upload_expiry import UploadExpiry
from file_storage.services.uploads import NewUpload, UploadService
from file_storage.storage import StorageFullError
from service_kit.access.principals import LOCAL, WRITER, Limits, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.settings import load
from sqlalchemy import event, func, select, update
from structlog.testing import capture_logs

from tests.support.databases import migrated_postgres_database
from tests.support.stored import stored, unlimited

pytestmark = pytest.mark.slow

NAME = FileName("a", ".bin")
CONTENT = b"7 bytes"
OWNER = Principal("bob", WRITER)
LIMITED = Principal("bob", WRITER, limits=Limits(bytes=10))
Act = Callable[[svcs.Container], object]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with migrated_postgres_database("storing", "file_storage") as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def services(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[svcs.Container]:
    """Return services whose trash keeps files for a day."""
    if request.param == "postgresql":
        monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", request.getfixturevalue("postgresql"))
    monkeypatch.setenv("FILE_STORAGE_TRASH__SECONDS", "86400")
    container = svcs.Container(create_registry(load(Settings)))
    yield container
    with container.get(Database).begin() as connection:
        connection.execute(update(File).values(expires_at=None, deleted_at=None))
        connection.execute(update(Upload).values(expires_at=1))
        ids = connection.scalars(select(File.id)).all()
    for principal in (LOCAL, OWNER):
        container.get(TrashService).delete_all(principal, ids)
        container.get(TrashService).empty(principal, ids)
    container.get(UploadExpiry).expire(unlimited)


def expire_a_file(services: svcs.Container) -> None:
    file = stored(services, CONTENT, principal=OWNER, details=Details(expires_in=3600))
    with services.get(Database).begin() as connection:
        connection.execute(update(File).where(File.id == file.id).values(expires_at=1))


def end_the_time_in_the_trash(services: svcs.Container) -> None:
    file = stored(services, CONTENT, principal=OWNER)
    services.get(TrashService).delete(OWNER, file.id)
    with services.get(Database).begin() as connection:
        connection.execute(update(File).where(File.id == file.id).values(deleted_at=1))


def expire_a_promise(services: svcs.Container) -> None:
    services.get(Promises).make(OWNER, "a" * 32, len(CONTENT))
    with services.get(Database).begin() as connection:
        connection.execute(update(Upload).values(expires_at=1))


def check_room(services: svcs.Container) -> None:
    services.get(StoringService).check_room(LIMITED, len(CONTENT))


def store(services: svcs.Container) -> None:
    stored(services, CONTENT, principal=LIMITED)


def copy(services: svcs.Container) -> None:
    source = stored(services, CONTENT)
    services.get(StoringService).copy(LIMITED, NewCopy(source, NAME, None))


def promise(services: svcs.Container) -> None:
    services.get(StoringService).promise_room(LIMITED, "b" * 32, len(CONTENT))


def begin(services: svcs.Container, length: int | None) -> Upload:
    return services.get(UploadService).create(LIMITED, NewUpload(length, NAME, "", "", partial=False)).upload


def resume(services: svcs.Container) -> None:
    begin(services, len(CONTENT))


def send_more(services: svcs.Container) -> None:
    upload = begin(services, None)
    services.get(UploadService).append(LIMITED, upload.id, 0, None, BytesIO(CONTENT), None)


def send_the_length(services: svcs.Container) -> None:
    upload = begin(services, None)
    services.get(UploadService).append(LIMITED, upload.id, 0, len(CONTENT), BytesIO(CONTENT), None)


@pytest.mark.parametrize("fill", [expire_a_file, end_the_time_in_the_trash, expire_a_promise])
@pytest.mark.parametrize("upload", [check_room, store, copy, promise, resume, send_more, send_the_length])
def test_a_quota_full_of_what_has_expired_lets_an_upload_in_at_once(
    services: svcs.Container, fill: Act, upload: Act
) -> None:
    # Again and again, because no interval may have to pass in between.
    fill(services)
    with capture_logs() as logs:
        upload(services)

    [line] = [entry for entry in logs if entry["event"] == "room made"]
    assert line["files"] + line["trash"] + line["promises"] == 1
    forget_what_the_owner_has(services)
    fill(services)
    upload(services)


def forget_what_the_owner_has(services: svcs.Container) -> None:
    """Delete the files and uploads of the owner."""
    with services.get(Database).begin() as connection:
        ids = connection.scalars(select(File.id).where(File.owner == OWNER.owner, File.deleted_at.is_(None))).all()
        connection.execute(update(Upload).values(expires_at=1))
    services.get(TrashService).delete_all(OWNER, ids)
    services.get(TrashService).empty(OWNER, ids)
    services.get(Promises).expire()
    services.get(UploadExpiry).expire(unlimited)


def test_an_upload_removes_at_most_a_batch(services: svcs.Container) -> None:
    for _ in range(EXPIRE_BATCH + 1):
        stored(services, CONTENT, principal=OWNER)
    with services.get(Database).begin() as connection:
        connection.execute(update(File).values(expires_at=1))
    one_file = Principal("bob", WRITER, limits=Limits(files=1))

    with pytest.raises(DomainError, match="has 1;"):
        services.get(StoringService).check_room(one_file, 1)
    services.get(StoringService).check_room(one_file, 1)


def test_a_full_disk_of_expired_files_lets_an_upload_in_at_once(
    services: svcs.Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_of_ten_bytes(_path: object) -> object:
        used = sum(path.stat().st_size for path in (tmp_path / "blobs").rglob("*") if path.is_file())
        return SimpleNamespace(f_bavail=10 - used, f_frsize=1)

    storing = services.get(StoringService)
    expire_a_file(services)
    monkeypatch.setattr(os, "statvfs", disk_of_ten_bytes)

    storing.check_room(LOCAL, len(CONTENT))

    stored(services, CONTENT)
    with pytest.raises(StorageFullError):
        storing.check_room(LOCAL, len(CONTENT))


@contextmanager
def statements(services: svcs.Container) -> Iterator[list[str]]:
    """Record the statements of the block."""
    engine, made = services.get(Database).engine, list[str]()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        made.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield made
    event.remove(engine, "before_cursor_execute", note)


def link(services: svcs.Container) -> None:
    file = stored(services, CONTENT)
    services.get(LinkService).create(LOCAL, file, NewLink(60))
    services.get(SharedSets).create(LOCAL, NewSet([file.id], 60))


def delete(services: svcs.Container) -> None:
    trash, file = services.get(TrashService), stored(services, CONTENT)
    trash.delete(LOCAL, file.id)
    trash.restore(LOCAL, [file.id])
    trash.delete_all(LOCAL, [file.id])


def number_of_expired(services: svcs.Container) -> list[int]:
    with services.get(Database).connect() as connection:
        counts = [select(func.count()).where(model.expires_at == 1) for model in (File, Upload, Link)]
        return [connection.execute(count).scalar_one() for count in counts]


@pytest.mark.parametrize("act", [check_room, store, copy, promise, resume, send_more, send_the_length, link, delete])
def test_a_request_with_room_removes_nothing_that_has_expired(services: svcs.Container, act: Act) -> None:
    with statements(services) as usual:
        act(services)
    forget_what_the_owner_has(services)
    services.get(LinkService).create(LOCAL, stored(services, b"expired"), NewLink(60))
    services.get(Promises).make(LOCAL, "c" * 32, 1)
    services.get(UploadService).create(LOCAL, NewUpload(1, NAME, "", "", partial=False))
    with services.get(Database).begin() as connection:
        connection.execute(update(Link).values(expires_at=1))
        connection.execute(update(Upload).values(expires_at=1))
        connection.execute(update(File).values(expires_at=1, deleted_at=1))
    before = number_of_expired(services)

    with statements(services) as with_expired:
        act(services)

    assert with_expired == usual
    assert number_of_expired(services) == before
