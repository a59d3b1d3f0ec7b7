"""The quota over all files."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.services.files import FileService
from file_storage.services.listing import FileFilter
from file_storage.services.names import FileName
from file_storage.services.storing import NewFile, StoringService
from file_storage.storage import Staging
from service_kit.access.principals import LOCAL
from service_kit.errors import DomainError
from service_kit.migrations import migrate
from service_kit.settings import load

from tests.support.servers import started_postgres
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
    with started_postgres("quota") as url:
        migrate(url, "file_storage")
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
