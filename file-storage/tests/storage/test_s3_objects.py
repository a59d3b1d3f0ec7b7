"""Objects in S3: every interleaving of requests keeps the bytes of files, and no request waits for S3 under a lock."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.models import File, StoredObject
from file_storage.services.blobs import BlobService
from file_storage.services.files import FileService
from file_storage.services.fsck import Fsck
from file_storage.services.listing import FileFilter
from file_storage.services.names import FileName
from file_storage.services.uploads import NewUpload, UploadService
from file_storage.storage.blob_store import blob_path
from service_kit.access.principals import LOCAL, WRITER, Limits, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.settings import load
from sqlalchemy import Connection, create_engine, delete, event, func, select, text

from tests.support.databases import migrated_postgres_database
from tests.support.object_store import ObjectStore
from tests.support.stored import stored
from tests.support.waiting import STATE_SECONDS

pytestmark = pytest.mark.slow

CONTENT = b"bytes"

_LOCKING = text("""
    SELECT query FROM pg_stat_activity
    WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND backend_xid IS NOT NULL
""")
"""The last statement of each transaction that has written or locked rows and waits for its client."""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with migrated_postgres_database("objects", "file_storage") as url:
        yield url


@pytest.fixture
def s3() -> Iterator[ObjectStore]:
    server = ObjectStore()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def services(
    request: pytest.FixtureRequest, settings: Settings, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[svcs.Container]:
    """Return the services over S3; on PostgreSQL, assert that no request to S3 was made in a locking transaction."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    if request.param == "sqlite":
        yield svcs.Container(create_registry(load(Settings)))
        return
    url = request.getfixturevalue("postgresql")
    monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", url)
    engine = create_engine(url)

    def locking() -> list[str]:
        with engine.connect() as connection:
            return list(connection.scalars(_LOCKING))

    s3.look = locking
    services = svcs.Container(create_registry(load(Settings)))
    yield services
    assert s3.seen == []
    assert s3.asked
    engine.dispose()
    with services.get(Database).begin() as connection:
        for table in ("files", "blobs", "stored_objects"):
            connection.execute(text(f"DELETE FROM {table}"))
    services.get(Database).engine.dispose()


@pytest.fixture
def files(services: svcs.Container) -> FileService:
    return services.get(FileService)


def states(services: svcs.Container) -> list[tuple[str, int]]:
    """Return the number of objects in each state, from the database."""
    with services.get(Database).connect() as connection:
        query = select(StoredObject.state, func.count()).group_by(StoredObject.state).order_by(StoredObject.state)
        return [(state.value, count) for state, count in connection.execute(query)]


def assert_tidy(services: svcs.Container, s3: ObjectStore) -> None:
    """Assert that, after gc, each file has its bytes and each object has a file."""
    services.get(BlobService).collect_garbage(0)
    found = services.get(FileService).page(LOCAL, FileFilter(), "", 100)
    for file in found:
        assert services.get(FileService).open(file).read()
    kept = {name: name.rpartition("/")[2] for name in s3.objects if not name.startswith("damaged/")}
    assert sorted(kept.values()) == sorted({file.sha256 for file in found})
    assert services.get(Fsck).run(0, read_bytes=True).lost == 0


def lose_row(services: svcs.Container, s3: ObjectStore, file: File) -> None:
    """Make the blob of a file one from before the rows of objects."""
    with services.get(Database).begin() as connection:
        [name] = connection.scalars(delete(StoredObject).returning(StoredObject.name)).all()
    s3.objects[blob_path(file.sha256)] = s3.objects.pop(name)


def test_a_file_is_stored_once_and_removed_with_its_row(
    services: svcs.Container, files: FileService, s3: ObjectStore
) -> None:
    first, second = stored(services, CONTENT), stored(services, CONTENT)

    assert s3.asked == ["PUT", "HEAD"]
    assert [files.open(file).read() for file in (first, second)] == [CONTENT] * 2
    assert_tidy(services, s3)
    files.delete(LOCAL, first.id)
    assert len(s3.objects) == 1
    files.delete(LOCAL, second.id)
    assert (s3.objects, states(services)) == ({}, [])


@pytest.mark.parametrize("method", ["PUT", "HEAD"])
def test_requests_for_other_bytes_do_not_wait_for_a_slow_upload(
    services: svcs.Container, files: FileService, s3: ObjectStore, method: str
) -> None:
    if method == "HEAD":
        stored(services, CONTENT)
    with ThreadPoolExecutor() as threads, s3.holding(method) as held:
        slow = threads.submit(stored, services, CONTENT)
        assert held.arrived.wait(STATE_SECONDS)

        other = stored(services, b"other bytes")
        files.delete(LOCAL, other.id)

        assert not slow.done()
        held.release()
        slow.result(STATE_SECONDS)
    assert_tidy(services, s3)


def test_the_same_bytes_do_not_wait_for_a_slow_upload(
    services: svcs.Container, files: FileService, s3: ObjectStore
) -> None:
    with ThreadPoolExecutor() as threads, s3.holding("PUT") as held:
        slow = threads.submit(stored, services, CONTENT)
        assert held.arrived.wait(STATE_SECONDS)

        same = stored(services, CONTENT)

        assert not slow.done()
        assert files.open(same).read() == CONTENT
        held.release()
        slow.result(STATE_SECONDS)
    assert len(s3.objects) == 1, "the slow upload has removed its object, which nobody needs"
    assert_tidy(services, s3)


def test_uploads_do_not_wait_for_a_slow_deletion_and_keep_their_bytes(
    services: svcs.Container, files: FileService, s3: ObjectStore
) -> None:
    file = stored(services, CONTENT)
    with ThreadPoolExecutor() as threads, s3.holding("DELETE") as held:
        deletion = threads.submit(files.delete, LOCAL, file.id)
        assert held.arrived.wait(STATE_SECONDS)

        same, other = stored(services, CONTENT), stored(services, b"other bytes")

        assert not deletion.done()
        held.release()
        deletion.result(STATE_SECONDS)
    assert [files.open(upload).read() for upload in (same, other)] == [CONTENT, b"other bytes"]
    assert_tidy(services, s3)


def test_gc_finishes_a_deletion_and_a_late_request_harms_nobody(
    services: svcs.Container, files: FileService, s3: ObjectStore
) -> None:
    file = stored(services, CONTENT)
    with ThreadPoolExecutor() as threads, s3.holding("DELETE") as held:
        deletion = threads.submit(files.delete, LOCAL, file.id)
        assert held.arrived.wait(STATE_SECONDS)
        services.get(BlobService).collect_garbage(0)
        assert (s3.objects, states(services)) == ({}, [])

        same = stored(services, CONTENT)

        held.release()
        deletion.result(STATE_SECONDS)
    assert files.open(same).read() == CONTENT
    assert_tidy(services, s3)


def test_an_upload_whose_object_gc_has_removed_writes_another(
    services: svcs.Container, files: FileService, s3: ObjectStore
) -> None:
    with ThreadPoolExecutor() as threads, s3.holding("PUT") as held:
        slow = threads.submit(stored, services, CONTENT)
        assert held.arrived.wait(STATE_SECONDS)
        services.get(BlobService).collect_garbage(0)
        assert states(services) == []

        held.release()
        file = slow.result(STATE_SECONDS)

    assert files.open(file).read() == CONTENT
    assert len(s3.objects) == 2, "the object of the first request came after gc"
    assert_tidy(services, s3)


def test_gc_leaves_the_object_of_a_recent_upload_alone(services: svcs.Container, s3: ObjectStore) -> None:
    with ThreadPoolExecutor() as threads, s3.holding("PUT") as held:
        slow = threads.submit(stored, services, CONTENT)
        assert held.arrived.wait(STATE_SECONDS)
        assert services.get(BlobService).collect_garbage(60) == 0
        assert states(services) == [("pending", 1)]
        held.release()
        slow.result(STATE_SECONDS)
    assert s3.asked.count("PUT") == 1


def test_a_deletion_between_the_check_and_the_commit_makes_an_upload_write_the_bytes(
    services: svcs.Container, files: FileService, s3: ObjectStore
) -> None:
    file = stored(services, CONTENT)
    with ThreadPoolExecutor() as threads, s3.holding("HEAD") as held:
        upload = threads.submit(stored, services, CONTENT)
        assert held.arrived.wait(STATE_SECONDS)
        # The answer of S3 is from before the deletion.
        kept = dict(s3.objects)
        files.delete(LOCAL, file.id)
        assert s3.objects == {}
        s3.objects.update(kept)
        held.release()
        again = upload.result(STATE_SECONDS)
    s3.objects.pop(next(iter(kept)))

    assert files.open(again).read() == CONTENT
    assert_tidy(services, s3)


def test_an_upload_restores_a_lost_object(services: svcs.Container, files: FileService, s3: ObjectStore) -> None:
    file = stored(services, CONTENT)
    s3.objects.clear()
    assert services.get(Fsck).run(0, read_bytes=False).missing == 1

    stored(services, CONTENT)

    assert files.open(file).read() == CONTENT
    assert states(services) == [("used", 1)]
    assert_tidy(services, s3)


def test_damaged_bytes_are_set_aside_and_restored_by_an_upload(
    services: svcs.Container, files: FileService, s3: ObjectStore
) -> None:
    file = stored(services, CONTENT)
    [name] = s3.objects
    s3.objects[name] = b"byt3s"

    assert services.get(Fsck).run(0, read_bytes=True).damaged == 1

    assert s3.objects == {f"damaged/{file.sha256}": b"byt3s"}
    with pytest.raises(DomainError, match="lost"):
        files.open(file)
    stored(services, CONTENT)
    assert files.open(file).read() == CONTENT
    assert_tidy(services, s3)


def test_a_damaged_object_that_cannot_be_moved_keeps_no_other_from_being_removed(
    services: svcs.Container, files: FileService, s3: ObjectStore
) -> None:
    file = stored(services, CONTENT)
    [name] = s3.objects
    s3.objects[name] = b"byt3s"
    s3.refuses_copies = True
    report = services.get(Fsck).run(0, read_bytes=True)
    with services.get(Database).begin() as connection:
        row = {"name": "aa/bb/0/unused", "sha256": "a" * 64, "state": "unused"}
        connection.execute(
            text("INSERT INTO stored_objects (name, sha256, state, created_at) VALUES (:name, :sha256, :state, 0)"), row
        )

    services.get(BlobService).collect_garbage(0)

    assert (report.damaged, states(services), list(s3.objects)) == (1, [("damaged", 1)], [name])
    s3.refuses_copies = False
    services.get(BlobService).collect_garbage(0)
    assert (states(services), list(s3.objects)) == ([], [f"damaged/{file.sha256}"])


def test_an_object_whose_blob_another_build_has_removed_is_removed(services: svcs.Container, s3: ObjectStore) -> None:
    stored(services, CONTENT)
    with services.get(Database).begin() as connection:
        for table in ("files", "blobs"):
            connection.execute(text(f"DELETE FROM {table}"))

    services.get(BlobService).collect_garbage(0)

    assert (states(services), s3.objects) == ([], {})


def test_a_finished_upload_that_a_quota_refuses_is_not_sent_to_s3(services: svcs.Container, s3: ObjectStore) -> None:
    owner = Principal("ann", WRITER, limits=Limits(files=1))
    uploads = services.get(UploadService)
    first, second = (
        uploads.create(owner, NewUpload(5, FileName("a", ""), "", "", partial=False)).upload.id for _ in range(2)
    )
    uploads.append(owner, first, 0, None, BytesIO(CONTENT), None)

    with pytest.raises(DomainError, match="files"):
        uploads.append(owner, second, 0, None, BytesIO(b"other"), None)
    with pytest.raises(DomainError, match="files"):
        uploads.get(owner, second)

    assert s3.asked == ["PUT"]
    uploads.terminate(owner, second)


def test_bytes_that_an_upload_restores_during_the_check_are_not_set_aside(
    services: svcs.Container, files: FileService, s3: ObjectStore
) -> None:
    file = stored(services, CONTENT)
    [lost] = s3.objects
    content = s3.objects.pop(lost)
    with ThreadPoolExecutor() as threads, s3.holding("HEAD") as held:
        check = threads.submit(services.get(Fsck).run, 0, read_bytes=True)
        assert held.arrived.wait(STATE_SECONDS)
        stored(services, content)
        held.release()
        report = check.result(STATE_SECONDS)

    assert report.lost == 0
    assert files.open(file).read() == CONTENT
    assert_tidy(services, s3)


def test_blobs_from_before_the_rows_of_objects_are_read_and_removed(
    services: svcs.Container, files: FileService, s3: ObjectStore
) -> None:
    file = stored(services, CONTENT)
    lose_row(services, s3, file)

    assert files.open(file).read() == CONTENT
    assert_tidy(services, s3)
    files.delete(LOCAL, file.id)

    assert (s3.objects, states(services)) == ({}, [])


def test_an_upload_replaces_a_blob_from_before_the_rows_of_objects(
    services: svcs.Container, files: FileService, s3: ObjectStore
) -> None:
    file = stored(services, CONTENT)
    lose_row(services, s3, file)

    stored(services, CONTENT)

    assert files.open(file).read() == CONTENT
    assert_tidy(services, s3)
    assert blob_path(file.sha256) not in s3.objects


def test_objects_of_others_stay(services: svcs.Container, s3: ObjectStore) -> None:
    theirs = {"notes.txt": b"", f"backup/{'a' * 64}": b"", f"aa/bb/{'a' * 64}": b"", f"damaged/{'a' * 64}": b""}
    s3.objects.update(theirs)
    s3.objects[blob_path("a" * 64)] = b"ours"

    assert services.get(BlobService).collect_garbage(0) == 1

    assert s3.objects == theirs


def test_a_blob_counted_too_low_keeps_its_object(services: svcs.Container, files: FileService, s3: ObjectStore) -> None:
    file = stored(services, CONTENT)
    with services.get(Database).begin() as connection:
        connection.execute(text("UPDATE blobs SET file_count = 0"))

    assert services.get(BlobService).collect_garbage(0) == 0

    assert files.open(file).read() == CONTENT
    assert states(services) == [("used", 1)]


def test_no_statement_scans_the_rows_of_all_objects(services: svcs.Container, files: FileService) -> None:
    file, engine = stored(services, CONTENT), services.get(Database).engine
    explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    plans: list[str] = []

    def note(connection: Connection, _cursor: object, statement: str, parameters: tuple[object], *_: object) -> None:
        if "stored_objects" in statement and "INSERT" not in statement and "EXPLAIN" not in statement:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET enable_seqscan = off")
            plan = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            plans.append("\n".join(str(row) for row in plan))

    event.listen(engine, "before_cursor_execute", note)
    files.location(file)
    stored(services, CONTENT)
    files.delete(LOCAL, file.id)
    services.get(BlobService).collect_garbage(0)
    event.remove(engine, "before_cursor_execute", note)

    assert len(plans) > 4
    assert [
        plan for plan in plans if re.search(r"Seq Scan on stored_objects|SCAN stored_objects(?! USING)", plan)
    ] == []
