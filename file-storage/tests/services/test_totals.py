"""The totals over all files, which triggers maintain, compared with the sums of the rows."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO

import pytest
import svcs
from file_storage.config import Settings
from file_storage.event_injectors import create_housekeeping
from file_storage.injectors import create_registry
from file_storage.models import Blob, File, FileCount, StorageTotal, Upload
from file_storage.services import totals as totals_of_files
from file_storage.services.blobs import BlobService
from file_storage.services.expiry import ExpiryService
from file_storage.services.files import FileService
from file_storage.services.names import FileName
from file_storage.services.storing import Details, NewCopy, StoringService
from file_storage.services.totals import MonthlyCount, fold, monthly_counts, stored_by
from file_storage.services.totals import stored as totals
from file_storage.services.trash import TrashService
from file_storage.services.uploads import NewUpload, UploadService
from service_kit.access.principals import LOCAL, WRITER, Principal
from service_kit.database import Database
from service_kit.settings import load
from sqlalchemy import func, insert, select, text, update

from tests.support.databases import migrated_postgres_database
from tests.support.images import photo
from tests.support.stored import stored, unlimited
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with migrated_postgres_database("totals", "file_storage") as url:
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
        reserved = func.coalesce(func.sum(Upload.reserved), 0)
        sums = (connection.scalar(bytes_), connection.scalar(files), connection.scalar(select(reserved)))
        assert totals(connection) == sums
        for owner in ("local", "ann", "bob"):
            of_files = select(func.coalesce(func.sum(File.size), 0), func.count()).where(File.owner == owner)
            [(bytes_of_files, count)] = connection.execute(of_files)
            of_uploads = connection.scalar(select(reserved).where(Upload.owner == owner))
            assert stored_by(connection, owner) == (bytes_of_files, count, of_uploads)


def assert_counts_are_those_of_the_rows(services: svcs.Container) -> None:
    with services.get(Database).connect() as connection:
        for owner in ("local", "ann", "bob", "eve", "dan", None):
            rows = connection.execute(select(File.media_type, File.created_at, File.size, File.owner)).all()
            files, bytes_ = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
            for media_type, created_at, size, of in rows:
                key = (media_type.partition("/")[0], datetime.fromtimestamp(created_at, UTC).strftime("%Y-%m"))
                if owner in {None, of}:
                    files[key] += 1
                    bytes_[key] += size
            expected = {MonthlyCount(*key, count, bytes_[key]) for key, count in files.items()}
            assert set(monthly_counts(connection, owner)) == expected


def test_every_change_of_files_updates_the_totals(container: svcs.Container) -> None:
    files, storing = container.get(FileService, StoringService)

    first, second = stored(container, b"12345"), stored(container, b"12345")
    assert_correct(container)
    storing.copy(LOCAL, NewCopy(stored(container, b"123"), FileName("copy", ".bin"), None))
    assert_correct(container)
    files.delete(LOCAL, first.id)
    assert_correct(container)
    files.delete(LOCAL, second.id)
    assert_correct(container)


def test_every_change_of_files_updates_the_totals_of_their_owner(container: svcs.Container) -> None:
    files, storing = container.get(FileService, StoringService)
    bob = Principal("bob", WRITER)

    first, second = stored(container, b"12345", principal=bob), stored(container, b"12345", principal=bob)
    assert_correct(container)
    storing.copy(bob, NewCopy(first, FileName("copy", ".bin"), None))
    assert_correct(container)
    files.delete(bob, second.id)
    assert_correct(container)
    with container.get(Database).write() as session:
        session.execute(update(File).where(File.id == first.id).values(owner="ann"))
    assert_correct(container)


def test_every_change_of_uploads_updates_the_totals(container: svcs.Container) -> None:
    uploads, bob = container.get(UploadService), Principal("bob", WRITER)

    removed, kept, deferred = (
        uploads.create(bob, NewUpload(length, FileName("a", ".bin"), "", "", partial=False)).upload.id
        for length in (10, 3, None)
    )
    assert_correct(container)
    uploads.terminate(bob, removed)
    assert_correct(container)
    uploads.append(bob, kept, 0, None, BytesIO(b"abc"), None)
    assert_correct(container)
    uploads.append(bob, deferred, 0, None, BytesIO(b"12345"), None)
    assert_correct(container)
    with container.get(Database).connect() as connection:
        assert stored_by(connection, "bob").reserved == 5


def test_uploads_trash_and_gc_keep_the_counts_by_kind_and_month(container: svcs.Container) -> None:
    trash, storing, eve = container.get(TrashService), container.get(StoringService), Principal("eve", WRITER)

    picture = stored(container, photo(), principal=eve)
    texts = [stored(container, b"plain text", principal=eve).id for _ in range(2)]
    storing.copy(eve, NewCopy(picture, FileName("copy", ".png"), None))
    assert_counts_are_those_of_the_rows(container)
    trash.delete_all(eve, [picture.id, *texts])
    assert_counts_are_those_of_the_rows(container)
    trash.restore(eve, texts[:1])
    assert_counts_are_those_of_the_rows(container)
    trash.empty(eve, None)
    container.get(BlobService).collect_garbage(0)
    assert_counts_are_those_of_the_rows(container)
    with container.get(Database).connect() as connection:
        found = [(count.kind, count.files) for count in monthly_counts(connection, "eve")]
    assert found == [("image", 1), ("text", 1)]


def test_files_that_expire_leave_the_counts(container: svcs.Container) -> None:
    dan = Principal("dan", WRITER)
    expired = stored(container, b"brief", principal=dan, details=Details(expires_in=1))
    stored(container, b"lasting", principal=dan)
    with container.get(Database).write() as session:
        session.execute(update(File).where(File.id == expired.id).values(expires_at=1.0))

    container.get(ExpiryService).collect_garbage()

    assert_counts_are_those_of_the_rows(container)
    with container.get(Database).connect() as connection:
        assert sum(count.files for count in monthly_counts(connection, "dan")) == 1


def test_files_are_counted_in_the_month_of_their_upload(container: svcs.Container) -> None:
    file = stored(container, b"of the last second of a year")
    with container.get(Database).write() as session:
        session.execute(update(File).where(File.id == file.id).values(created_at=1767225599.5))

    assert_counts_are_those_of_the_rows(container)
    with container.get(Database).connect() as connection:
        assert monthly_counts(connection, None)[0][:3] == ("text", "2025-12", 1)


def test_a_change_that_is_rolled_back_is_not_counted(container: svcs.Container) -> None:
    file = stored(container, b"content")

    with pytest.raises(RuntimeError), container.get(Database).write() as session:
        session.execute(update(File).where(File.id == file.id).values(owner="ann"))
        raise RuntimeError

    assert_counts_are_those_of_the_rows(container)


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
    assert_counts_are_those_of_the_rows(living)
    with living.get(Database).connect() as connection:
        for table in (StorageTotal, FileCount):
            rows = connection.scalars(select(table.connection)).all()
            assert 0 in rows
            assert process not in rows


@pytest.mark.server
def test_the_server_folds_the_rows_of_ended_connections_itself(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, postgresql: str
) -> None:
    monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", postgresql)
    monkeypatch.setattr(totals_of_files, "STEP", 2)
    living = svcs.Container(create_registry(load(Settings)))
    with living.get(Database).begin() as connection:
        # No process of a server has such a number. The shares add up to 0, as other tests compare the totals.
        shares = [{"connection": 2**40 + n, "bytes": n, "files": -n, "reserved": 0} for n in range(-3, 4)]
        connection.execute(insert(StorageTotal), shares)
        before = totals(connection)
    ended = select(func.count()).select_from(StorageTotal).where(StorageTotal.connection >= 2**40 - 3)

    housekeeping = create_housekeeping(load(Settings), unlimited)
    housekeeping.start()

    with living.get(Database).connect() as connection:
        wait_until(lambda: connection.scalar(ended) == 0, "no row of an ended connection is left")
        assert totals(connection) == before
    housekeeping.stop()
