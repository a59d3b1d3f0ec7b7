"""The same free bytes are promised to one upload only, and come back when it ends."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from threading import Barrier

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.models import Upload
from file_storage.services.names import FileName
from file_storage.services.promises import BEGIN_SECONDS, BEGUN_BYTES, MIN_BYTES, SILENT_SECONDS, Promises
from file_storage.services.storing import NewFile, StoringService
from file_storage.services.totals import stored_by
from file_storage.services.uploads import NewUpload, UploadService
from file_storage.storage import Staging, StorageFullError
from service_kit.access.principals import LOCAL, WRITER, Limits, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.settings import load
from sqlalchemy import update

from tests.support.databases import migrated_postgres_database

GB = 10**9
ROOM = 10 * GB
SIZE = 6 * GB
"""One such upload fits on the disk and into the limit of Ann, two do not."""
LIMITED = Principal("ann", WRITER, limits=Limits(bytes=ROOM))
FIRST, SECOND = "a" * 32, "b" * 32


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with migrated_postgres_database("promises", "file_storage") as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def processes(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[svcs.Container]:
    """Return the services of several processes, on a disk of which about ``ROOM`` is free."""
    if request.param == "postgresql":
        monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", request.getfixturevalue("postgresql"))
    free = shutil.disk_usage(tmp_path).free
    if free < ROOM:
        pytest.skip("the disk has less than 10 GB free")
    monkeypatch.setenv("FILE_STORAGE_STORAGE__RESERVE_BYTES", str(free - ROOM))
    monkeypatch.setenv("FILE_STORAGE_UPLOAD__MAX_BYTES", str(ROOM))
    containers = [svcs.Container(create_registry(load(Settings))) for _ in range(4)]
    with containers[0].get(Database).write() as session:
        session.query(Upload).delete()
    return containers


@pytest.fixture
def storing(processes: list[svcs.Container]) -> StoringService:
    return processes[0].get(StoringService)


def new_upload(length: int | None, *, partial: bool = False) -> NewUpload:
    return NewUpload(length, FileName("a", ".bin"), "", "", partial=partial)


def complete_part(uploads: UploadService, folder: Path, size: int) -> str:
    """Return the id of a complete part, whose bytes take no room on the disk."""
    part = uploads.create(LOCAL, new_upload(size, partial=True)).upload.id
    with (folder / "uploads" / part).open("wb") as file:
        file.truncate(size)
    return part


@pytest.mark.parametrize("principal", [LOCAL, LIMITED], ids=["disk", "quota"])
def test_concurrent_uploads_are_not_promised_the_same_bytes(
    processes: list[svcs.Container], principal: Principal
) -> None:
    together, holding = Barrier(len(processes)), Barrier(len(processes))

    def upload(process: svcs.Container) -> str:
        together.wait()
        try:
            with process.get(StoringService).room(principal, SIZE, None):
                holding.wait()
                return "promised"
        except DomainError as error:
            holding.wait()
            return error.kind

    with ThreadPoolExecutor(len(processes)) as clients:
        results = list(clients.map(upload, processes))

    refusal = "storage-full" if principal is LOCAL else "quota-exceeded"
    assert sorted(results) == sorted(["promised", refusal, refusal, refusal])


def test_an_upload_that_ends_gives_its_bytes_back(storing: StoringService) -> None:
    with pytest.raises(ConnectionAbortedError), storing.room(LOCAL, SIZE, None):
        raise ConnectionAbortedError

    with storing.room(LOCAL, SIZE, None):
        pass


def test_nginx_makes_a_promise_and_ends_it(storing: StoringService) -> None:
    storing.promise_room(LIMITED, FIRST, SIZE)
    with pytest.raises(DomainError, match=f"have {SIZE}"):
        storing.promise_room(LIMITED, SECOND, SIZE)

    storing.give_back(FIRST)

    storing.promise_room(LIMITED, SECOND, SIZE)


def test_a_stored_file_counts_once(processes: list[svcs.Container], storing: StoringService) -> None:
    owner = Principal("bob", WRITER, limits=Limits(bytes=MIN_BYTES))
    storing.promise_room(owner, FIRST, MIN_BYTES)

    with storing.room(owner, 0, FIRST) as reserved, processes[0].get(Staging).stage() as staged:
        staged.write(b"x" * MIN_BYTES)
        storing.store(owner, NewFile(staged, FileName("a", ".bin"), "", None), reserved)

    with processes[0].get(Database).connect() as connection:
        totals = stored_by(connection, "bob")
    assert (totals.bytes, totals.reserved) == (MIN_BYTES, 0)


def test_a_promise_that_nobody_ends_expires(processes: list[svcs.Container], storing: StoringService) -> None:
    storing.promise_room(LIMITED, FIRST, SIZE)
    with processes[0].get(Database).write() as session:
        session.execute(update(Upload).values(expires_at=1))

    processes[1].get(StoringService).promise_room(LIMITED, SECOND, SIZE)

    with processes[0].get(Database).connect() as connection:
        assert stored_by(connection, "ann").reserved == SIZE


def begun_long_ago(processes: list[svcs.Container]) -> None:
    """Let each promise be older than the time in which its body must begin."""
    with processes[0].get(Database).write() as session:
        session.execute(update(Upload).values(expires_at=Upload.expires_at - BEGIN_SECONDS - 1))


@pytest.mark.parametrize("principal", [LOCAL, LIMITED], ids=["disk", "quota"])
def test_a_promise_whose_body_does_not_begin_ends(
    processes: list[svcs.Container], storing: StoringService, principal: Principal
) -> None:
    storing.promise_room(principal, FIRST, SIZE)
    begun_long_ago(processes)

    processes[1].get(StoringService).promise_room(principal, SECOND, SIZE)
    processes[1].get(Promises).expire()

    with processes[0].get(Database).connect() as connection:
        assert stored_by(connection, principal.owner).reserved == SIZE


def test_a_promise_lasts_while_a_body_is_being_written(
    processes: list[svcs.Container], storing: StoringService, tmp_path: Path
) -> None:
    storing.promise_room(LOCAL, FIRST, SIZE)
    storing.promise_room(LOCAL, SECOND, MIN_BYTES)
    begun_long_ago(processes)
    (tmp_path / "staging/body").write_bytes(bytes(BEGUN_BYTES))

    with pytest.raises(StorageFullError):
        processes[1].get(StoringService).promise_room(LOCAL, "c" * 32, SIZE)


def test_small_uploads_keep_no_lost_promise_alive(
    processes: list[svcs.Container], storing: StoringService, tmp_path: Path
) -> None:
    storing.promise_room(LOCAL, FIRST, SIZE)
    begun_long_ago(processes)
    (tmp_path / "staging/small").write_bytes(b"x")

    processes[1].get(StoringService).promise_room(LOCAL, SECOND, SIZE)


def test_the_copies_of_a_form_need_room_on_the_disk_but_count_once(
    processes: list[svcs.Container], storing: StoringService
) -> None:
    with pytest.raises(StorageFullError):
        storing.promise_room(LIMITED, FIRST, SIZE, copies=2)

    storing.promise_room(LIMITED, FIRST, SIZE - 2 * GB, copies=2)

    with processes[0].get(Database).connect() as connection:
        assert stored_by(connection, "ann").reserved == SIZE - 2 * GB


def test_copies_that_have_been_written_are_not_counted_twice(
    processes: list[svcs.Container], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "incoming").mkdir()
    monkeypatch.setenv("FILE_STORAGE_UPLOAD__BODY_FOLDER", str(tmp_path / "incoming"))
    storing = svcs.Container(create_registry(load(Settings))).get(StoringService)
    # Two of them fit on the disk; one of them and SIZE do not. Other tests change the free space a little.
    half = 4_600_000_000
    storing.promise_room(LOCAL, FIRST, half, copies=2)
    for name in ("incoming/body", "staging/copy"):
        with pytest.raises(StorageFullError):
            storing.promise_room(LOCAL, SECOND, SIZE)
        with (tmp_path / name).open("wb") as file:
            file.truncate(half)

    storing.promise_room(LOCAL, SECOND, SIZE)


def test_bytes_that_have_come_are_not_counted_twice(storing: StoringService, tmp_path: Path) -> None:
    storing.promise_room(LOCAL, FIRST, SIZE)
    with pytest.raises(StorageFullError):
        storing.promise_room(LOCAL, SECOND, SIZE)
    # A sparse file has a size, but the disk keeps its free space.
    with (tmp_path / "staging/body").open("wb") as body:
        body.truncate(SIZE)

    storing.promise_room(LOCAL, SECOND, SIZE)


def test_a_resumable_upload_holds_room_while_its_bytes_come(
    processes: list[svcs.Container], storing: StoringService, tmp_path: Path
) -> None:
    upload = processes[0].get(UploadService).create(LOCAL, new_upload(SIZE)).upload
    with pytest.raises(StorageFullError):
        storing.promise_room(LOCAL, FIRST, SIZE)
    with pytest.raises(StorageFullError):
        processes[1].get(UploadService).create(LOCAL, new_upload(SIZE))

    path = tmp_path / "uploads" / upload.id
    silent_since = path.stat().st_mtime - SILENT_SECONDS
    os.utime(path, (silent_since, silent_since))

    storing.promise_room(LOCAL, FIRST, SIZE)


def test_a_promise_is_not_listed_as_a_resumable_upload(
    processes: list[svcs.Container], storing: StoringService
) -> None:
    storing.promise_room(LOCAL, FIRST, SIZE)
    uploads = processes[0].get(UploadService)

    with pytest.raises(DomainError, match="no such upload"):
        uploads.get(LOCAL, FIRST)
    with pytest.raises(DomainError, match="no such upload"):
        uploads.terminate(LOCAL, FIRST)


def test_a_resumable_upload_is_not_taken_for_a_promise(processes: list[svcs.Container]) -> None:
    uploads = processes[0].get(UploadService)
    upload = uploads.create(LOCAL, new_upload(SIZE)).upload

    processes[0].get(Promises).give_back(upload.id)

    assert uploads.get(LOCAL, upload.id).upload.reserved == SIZE


def test_a_small_upload_makes_no_promise(storing: StoringService) -> None:
    with storing.room(LOCAL, MIN_BYTES - 1, None) as reserved:
        assert reserved is None


def test_parts_are_not_copied_into_the_room_of_others(
    processes: list[svcs.Container], storing: StoringService, tmp_path: Path
) -> None:
    uploads = processes[1].get(UploadService)
    part = complete_part(uploads, tmp_path, 2 * GB)
    storing.promise_room(LOCAL, FIRST, 9 * GB)

    with pytest.raises(StorageFullError):
        uploads.concatenate(LOCAL, [part], new_upload(None), f"final;{part}")

    assert uploads.get(LOCAL, part).offset == 2 * GB
    assert list((tmp_path / "staging").iterdir()) == []


@pytest.mark.parametrize("web_server", [False, True], ids=["own bodies only", "bodies of a web server"])
def test_a_copy_of_parts_holds_room_until_its_bytes_are_there(
    processes: list[svcs.Container], web_server: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if web_server:
        (tmp_path / "incoming").mkdir()
        monkeypatch.setenv("FILE_STORAGE_UPLOAD__BODY_FOLDER", str(tmp_path / "incoming"))
    process = svcs.Container(create_registry(load(Settings)))
    promises, storing, staging = process.get(Promises), process.get(StoringService), process.get(Staging)

    with promises.promised_on_disk(LOCAL, SIZE), staging.stage_body() as staged:
        os.truncate(staged.path, BEGUN_BYTES)
        begun_long_ago(processes)
        with pytest.raises(StorageFullError), promises.promised_on_disk(LOCAL, SIZE):
            pass
        os.truncate(staged.path, SIZE)
        storing.promise_room(LOCAL, FIRST, SIZE)
        storing.give_back(FIRST)

    storing.promise_room(LOCAL, SECOND, SIZE)


def test_a_repeated_concatenation_is_the_same_file_although_its_quota_is_exceeded(
    processes: list[svcs.Container],
) -> None:
    owner = Principal("carol", WRITER, limits=Limits(bytes=100))
    uploads = processes[0].get(UploadService)
    part = uploads.create(owner, new_upload(60, partial=True)).upload.id
    uploads.append(owner, part, 0, None, BytesIO(b"x" * 60), None)

    first, again = (uploads.concatenate(owner, [part], new_upload(None), f"final;{part}") for _ in range(2))

    assert first.file_id == again.file_id
    with processes[0].get(Database).connect() as connection:
        totals = stored_by(connection, "carol")
    assert (totals.bytes, totals.reserved) == (60, 60)
