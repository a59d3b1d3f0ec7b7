"""The totals over all files, which triggers maintain, compared with the sums of the rows."""

from collections.abc import Iterator

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.models import Blob, StorageTotal
from file_storage.services.blobs import BlobService
from file_storage.services.files import FileService
from file_storage.services.names import FileName
from file_storage.services.storing import StoringService
from file_storage.services.totals import fold
from file_storage.services.totals import stored as totals
from service_kit.database import Database
from service_kit.migrations import migrate
from service_kit.settings import load
from sqlalchemy import func, select, text, update

from tests.support.servers import started_postgres
from tests.support.stored import stored


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with started_postgres("totals") as url:
        migrate(url, "file_storage")
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def container(request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> svcs.Container:
    if request.param == "postgresql":
        monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", request.getfixturevalue("postgresql"))
    return svcs.Container(create_registry(load(Settings)))


def assert_correct(services: svcs.Container) -> None:
    with services.get(Database).connect() as connection:
        bytes_ = select(func.coalesce(func.sum(Blob.size).filter(Blob.file_count > 0), 0))
        files = select(func.coalesce(func.sum(Blob.file_count), 0))
        assert totals(connection) == (connection.scalar(bytes_), connection.scalar(files))


def test_every_change_of_files_updates_the_totals(container: svcs.Container) -> None:
    files, storing = container.get(FileService, StoringService)

    first, second = stored(container, b"12345"), stored(container, b"12345")
    assert_correct(container)
    storing.copy(stored(container, b"123"), FileName("copy", ".bin"), None)
    assert_correct(container)
    files.delete(first.id)
    assert_correct(container)
    files.delete(second.id)
    assert_correct(container)


def test_corrections_by_fsck_and_removals_by_gc_update_the_totals(container: svcs.Container) -> None:
    stored(container, b"content")
    with container.get(Database).write() as session:
        session.execute(update(Blob).values(file_count=0))
    assert_correct(container)

    container.get(BlobService).collect_garbage(0)

    assert_correct(container)


@pytest.mark.server
def test_rows_of_ended_connections_are_folded_into_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, postgresql: str
) -> None:
    monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", postgresql)
    ended, living = (svcs.Container(create_registry(load(Settings))) for _ in range(2))
    stored(ended, b"by a connection that ends")
    with ended.get(Database).connect() as connection:
        process = connection.scalar(text("SELECT pg_backend_pid()"))
    ended.get(Database).engine.dispose()

    fold(living.get(Database))

    assert_correct(living)
    with living.get(Database).connect() as connection:
        rows = connection.scalars(select(StorageTotal.connection)).all()
    assert 0 in rows
    assert process not in rows
