"""The quotas for all files together and for each owner."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from threading import Barrier

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.services.files import FileService
from file_storage.services.listing import FileFilter
from file_storage.services.names import FileName
from file_storage.services.storing import NewCopy, NewFile, StoringService
from file_storage.services.uploads import NewUpload, UploadService
from file_storage.storage import Staging
from service_kit.access.principals import LOCAL, WRITER, Limits, Principal
from service_kit.errors import DomainError
from service_kit.settings import load

from tests.support.databases import migrated_postgres_database
from tests.support.stored import stored


@pytest.fixture
def limited(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> svcs.Container:
    monkeypatch.setenv("FILE_STORAGE_STORAGE__QUOTA_BYTES", "100")
    return svcs.Container(create_registry(load(Settings)))


def test_an_upload_that_would_exceed_the_quota_is_refused(limited: svcs.Container, tmp_path: Path) -> None:
    stored(limited, b"x" * 60)

    with pytest.raises(DomainError, match="at most 100 bytes and have 60") as refused:
        stored(limited, b"y" * 41)

    assert refused.value.kind == "quota-exceeded"
    assert len([path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]) == 1
    assert stored(limited, b"y" * 40).size == 40


def test_deleted_files_make_room(limited: svcs.Container) -> None:
    first = stored(limited, b"x" * 95)
    limited.get(FileService).delete(LOCAL, first.id)

    assert stored(limited, b"y" * 95).size == 95


def test_the_quota_is_checked_before_the_body_is_received(limited: svcs.Container) -> None:
    with pytest.raises(DomainError, match="100 bytes"):
        limited.get(StoringService).check_room(LOCAL, 101)


def test_processes_share_the_quota(limited: svcs.Container, settings: Settings) -> None:
    other = svcs.Container(create_registry(load(Settings)))
    stored(limited, b"x" * 50)
    stored(other, b"y" * 45)

    with pytest.raises(DomainError, match="have 95"):
        stored(limited, b"z" * 45)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with migrated_postgres_database("quota", "file_storage") as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def limited_processes(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> list[svcs.Container]:
    """Return the services of several processes."""
    if request.param == "postgresql":
        monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", request.getfixturevalue("postgresql"))
    monkeypatch.setenv("FILE_STORAGE_STORAGE__QUOTA_BYTES", "1000")
    return [svcs.Container(create_registry(load(Settings))) for _ in range(8)]


def test_concurrent_uploads_do_not_exceed_the_quota_together(
    limited_processes: list[svcs.Container],
) -> None:
    together = Barrier(len(limited_processes))

    def upload(number: int) -> bool:
        with limited_processes[number].get(Staging).stage() as staged:
            staged.write(bytes([number]) * 300)
            new = NewFile(staged, FileName("a", ".bin"), "", None)
            together.wait()
            try:
                limited_processes[number].get(StoringService).store(LOCAL, new)
            except DomainError as error:
                assert error.kind == "quota-exceeded"
                return False
            return True

    with ThreadPoolExecutor(len(limited_processes)) as clients:
        stored = list(clients.map(upload, range(len(limited_processes))))

    assert sum(stored) == 3
    assert len(limited_processes[0].get(FileService).page(LOCAL, FileFilter(), "", 10)) == 3


def bob(**limits: int) -> Principal:
    return Principal("bob", WRITER, limits=Limits(**limits))


def new_upload(length: int | None, *, partial: bool = False) -> NewUpload:
    return NewUpload(length, FileName("a", ".bin"), "", "", partial=partial)


def test_an_owner_may_not_exceed_its_bytes(services: svcs.Container) -> None:
    owner = bob(bytes=100)
    stored(services, b"x" * 60, principal=owner)
    stored(services, b"z" * 500)

    with pytest.raises(DomainError, match="'bob' may have at most 100 bytes and have 60") as refused:
        stored(services, b"y" * 41, principal=owner)

    assert refused.value.kind == "quota-exceeded"
    assert stored(services, b"y" * 40, principal=owner).size == 40


def test_an_owner_may_not_exceed_its_number_of_files(services: svcs.Container) -> None:
    owner = bob(files=2)
    first, _ = stored(services, b"x", principal=owner), stored(services, b"x", principal=owner)

    with pytest.raises(DomainError, match="'bob' may have at most 2 files and has 2"):
        stored(services, b"", principal=owner)
    services.get(FileService).delete(owner, first.id)

    assert stored(services, b"", principal=owner).size == 0


def test_copies_count_towards_the_limits_of_their_owner(services: svcs.Container) -> None:
    owner, storing = bob(bytes=100, files=10), services.get(StoringService)
    source = stored(services, b"x" * 40, principal=owner)
    copy = NewCopy(source, FileName("copy", ".bin"), None)
    storing.copy(owner, copy)

    with pytest.raises(DomainError, match="at most 100 bytes and have 80"):
        storing.copy(owner, copy)


def test_a_copy_adds_nothing_to_the_bytes_of_all(limited: svcs.Container) -> None:
    source = stored(limited, b"x" * 90)

    assert limited.get(StoringService).copy(LOCAL, NewCopy(source, FileName("copy", ".bin"), None)).size == 90


@pytest.mark.parametrize("partial", [False, True])
def test_the_length_of_an_unfinished_upload_counts_from_its_creation(limited: svcs.Container, *, partial: bool) -> None:
    uploads = limited.get(UploadService)
    begun = uploads.create(LOCAL, new_upload(70, partial=partial)).upload

    with pytest.raises(DomainError, match="at most 100 bytes and have 70"):
        uploads.create(LOCAL, new_upload(31, partial=partial))
    with pytest.raises(DomainError, match="have 70"):
        stored(limited, b"x" * 31)
    uploads.terminate(LOCAL, begun.id)

    assert stored(limited, b"x" * 100).size == 100


def test_an_upload_of_unknown_length_counts_with_what_it_received(limited: svcs.Container) -> None:
    uploads = limited.get(UploadService)
    begun = uploads.create(LOCAL, new_upload(None)).upload
    uploads.append(LOCAL, begun.id, 0, None, BytesIO(b"x" * 70), None)

    with pytest.raises(DomainError, match="have 70"):
        uploads.append(LOCAL, begun.id, 70, None, BytesIO(b"x" * 31), None)
    with pytest.raises(DomainError, match="have 70"):
        stored(limited, b"y" * 31)

    assert uploads.get(LOCAL, begun.id).offset == 70
    assert uploads.append(LOCAL, begun.id, 70, 100, BytesIO(b"x" * 30), None).upload.finished


def test_a_length_that_comes_late_is_checked(limited: svcs.Container) -> None:
    uploads = limited.get(UploadService)
    begun = uploads.create(LOCAL, new_upload(None)).upload

    with pytest.raises(DomainError, match="at most 100 bytes and have 0"):
        uploads.append(LOCAL, begun.id, 0, 101, BytesIO(b"x"), None)

    found = uploads.get(LOCAL, begun.id)
    assert (found.offset, found.upload.length, found.upload.reserved) == (0, None, 0)


def test_uploads_of_all_the_room_become_files(limited: svcs.Container) -> None:
    uploads = limited.get(UploadService)
    begun = [uploads.create(LOCAL, new_upload(50)).upload.id for _ in range(2)]

    finished = [
        uploads.append(LOCAL, upload_id, 0, None, BytesIO(bytes([n]) * 50), None) for n, upload_id in enumerate(begun)
    ]

    assert all(progress.upload.finished for progress in finished)


def test_parts_of_more_than_half_of_the_room_become_a_file_and_count_until_they_are_removed(
    limited: svcs.Container,
) -> None:
    uploads = limited.get(UploadService)
    part = uploads.create(LOCAL, new_upload(60, partial=True)).upload.id
    uploads.append(LOCAL, part, 0, None, BytesIO(b"x" * 60), None)

    whole = uploads.concatenate(LOCAL, [part], new_upload(None), f"final;{part}")

    assert whole.finished
    with pytest.raises(DomainError, match="have 120"):
        stored(limited, b"y")
    uploads.terminate(LOCAL, part)
    assert stored(limited, b"y" * 40).size == 40


def test_unfinished_uploads_count_towards_the_limits_of_their_owner(services: svcs.Container) -> None:
    owner, uploads = bob(bytes=100, files=1), services.get(UploadService)
    begun = uploads.create(owner, new_upload(70)).upload

    with pytest.raises(DomainError, match="'bob' may have at most 100 bytes and have 70"):
        uploads.create(owner, new_upload(31))
    assert uploads.append(owner, begun.id, 0, None, BytesIO(b"x" * 70), None).upload.finished
    with pytest.raises(DomainError, match="at most 1 file and"):
        uploads.create(owner, new_upload(1))


def test_concurrent_uploads_of_an_owner_do_not_exceed_its_limit_together(
    limited_processes: list[svcs.Container],
) -> None:
    together, owner = Barrier(len(limited_processes)), bob(bytes=100)

    def begin(number: int) -> bool:
        together.wait()
        try:
            limited_processes[number].get(UploadService).create(owner, new_upload(30))
        except DomainError as error:
            assert error.kind == "quota-exceeded"
            return False
        return True

    with ThreadPoolExecutor(len(limited_processes)) as clients:
        assert sum(clients.map(begin, range(len(limited_processes)))) == 3
