"""fsck finds faults of stored files and repairs those that it can."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
import svcs
from file_storage.models import Blob, File
from file_storage.services.files import FileService
from file_storage.services.fsck import BlobCounts, Fsck
from PIL import ExifTags, Image
from service_kit.access.principals import LOCAL
from service_kit.database import Database
from service_kit.errors import DomainError
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from tests.support.stored import stored

WAITING_SECONDS = 0.5


@pytest.fixture
def files(services: svcs.Container) -> FileService:
    return services.get(FileService)


def checked(services: svcs.Container) -> BlobCounts:
    return services.get(Fsck).run(0, read_bytes=True)


def path_of(tmp_path: Path, files: FileService, file: File) -> Path:
    return tmp_path / "blobs" / files.location(file)


@contextmanager
def while_fsck_waits(services: svcs.Container) -> Iterator[tuple[Session, Future[BlobCounts]]]:
    """Yield a transaction, and a check that has found a fault and waits for the transaction to end."""
    with ThreadPoolExecutor() as executor, services.get(Database).write() as session:
        session.connection()  # starts the transaction
        report = executor.submit(checked, services)
        time.sleep(WAITING_SECONDS)
        assert not report.done()
        yield session, report


def test_whole_files_are_not_changed(services: svcs.Container, files: FileService) -> None:
    file = stored(services, b"content")
    stored(services, b"content")

    report = checked(services)

    assert report == BlobCounts(blobs=1)
    assert files.open(file).read() == b"content"


def test_photos_stored_before_dates_were_read_get_them(services: svcs.Container) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:07:01 12:03:06"
    photo = BytesIO()
    Image.new("RGB", (3, 2)).save(photo, "JPEG", exif=exif)
    ids = [stored(services, photo.getvalue()).id for _ in range(2)]
    stored(services, b"text")
    with services.get(Database).write() as session:
        session.execute(update(File).values(taken_at=None, updated_at=7))

    first, second = checked(services), checked(services)

    with services.get(Database).read() as session:
        times = session.execute(select(File.taken_at, File.updated_at).where(File.id.in_(ids))).all()
    assert (first, second) == (BlobCounts(blobs=2, dated=2), BlobCounts(blobs=2))
    assert times == [(datetime(2026, 7, 1, 12, 3, 6, tzinfo=UTC).timestamp(), 7)] * 2


def test_missing_bytes_are_found_and_restored_by_an_upload(
    services: svcs.Container, files: FileService, tmp_path: Path
) -> None:
    file = stored(services, b"content")
    path_of(tmp_path, files, file).unlink()

    found = checked(services)
    stored(services, b"content")

    assert (found.missing, found.lost) == (1, 1)
    assert checked(services) == BlobCounts(blobs=1)
    assert files.open(file).read() == b"content"


def test_damaged_bytes_are_set_aside_and_restored_by_an_upload(
    services: svcs.Container, files: FileService, tmp_path: Path
) -> None:
    file = stored(services, b"content")
    path_of(tmp_path, files, file).write_bytes(b"c0ntent")

    found = checked(services)

    assert (found.damaged, found.lost) == (1, 1)
    assert (tmp_path / "damaged" / file.sha256).read_bytes() == b"c0ntent"
    with pytest.raises(DomainError, match="lost"):
        files.open(file)
    stored(services, b"content")
    assert files.open(file).read() == b"content"


@pytest.mark.slow
def test_bytes_that_an_upload_restores_during_the_check_are_not_set_aside(
    services: svcs.Container, files: FileService, tmp_path: Path
) -> None:
    file = stored(services, b"content")
    path_of(tmp_path, files, file).write_bytes(b"c0ntent")

    with while_fsck_waits(services) as (_, report):
        path_of(tmp_path, files, file).write_bytes(b"content")

    assert report.result() == BlobCounts(blobs=1)
    assert files.open(file).read() == b"content"


@pytest.mark.slow
def test_bytes_that_are_deleted_with_their_last_file_during_the_check_are_not_lost(
    services: svcs.Container, files: FileService, tmp_path: Path
) -> None:
    file = stored(services, b"content")
    path_of(tmp_path, files, file).unlink()

    with while_fsck_waits(services) as (session, report):
        session.execute(delete(File))
        session.execute(update(Blob).values(file_count=0))

    assert report.result().lost == 0


def test_unreadable_bytes_are_reported_and_left_in_place(
    services: svcs.Container, files: FileService, tmp_path: Path
) -> None:
    path = path_of(tmp_path, files, stored(services, b"content"))
    path.unlink()
    path.mkdir()  # nobody can read it, not even root

    report = checked(services)

    assert (report.unreadable, report.lost) == (1, 1)
    assert path.is_dir()


def test_a_quick_check_reads_no_bytes(services: svcs.Container, files: FileService, tmp_path: Path) -> None:
    path_of(tmp_path, files, stored(services, b"content")).write_bytes(b"c0ntent")

    assert services.get(Fsck).run(0, read_bytes=False) == BlobCounts(blobs=1)


@pytest.mark.parametrize("wrong", [0, 1, 5])
def test_a_wrong_count_is_corrected(services: svcs.Container, files: FileService, wrong: int) -> None:
    first, second = stored(services, b"content"), stored(services, b"content")
    with services.get(Database).write() as session:
        session.execute(update(Blob).values(file_count=wrong))

    report = checked(services)

    assert (report.miscounted, report.lost) == (1, 0)
    files.delete(LOCAL, first.id)
    assert files.open(second).read() == b"content"
    files.delete(LOCAL, second.id)
    assert checked(services) == BlobCounts()


def test_bytes_without_a_file_are_removed(services: svcs.Container, tmp_path: Path) -> None:
    kept = stored(services, b"kept")
    orphan = tmp_path / "blobs/aa/bb" / ("aabb" + "0" * 60)
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"orphan")
    (tmp_path / "staging/left").write_bytes(b"left")

    report = checked(services)

    assert (report.orphans, report.lost) == (2, 0)
    assert [path.name for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == [kept.sha256]
