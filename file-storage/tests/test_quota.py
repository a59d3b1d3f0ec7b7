"""The quota over all files."""

from pathlib import Path

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.models import File
from file_storage.services.files import FileService
from file_storage.services.names import FileName
from file_storage.storage import Staging
from service_kit.problems import Problem
from service_kit.settings import load


@pytest.fixture
def limited(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> svcs.Container:
    monkeypatch.setenv("FILE_STORAGE_STORAGE__QUOTA_BYTES", "100")
    return svcs.Container(create_registry(load(Settings)))


def store(services: svcs.Container, content: bytes) -> File:
    with services.get(Staging).stage() as staged:
        staged.write(content)
        return services.get(FileService).store(staged, FileName("a", ".bin"), "", None)


def test_what_would_go_over_the_quota_is_refused(limited: svcs.Container, tmp_path: Path) -> None:
    store(limited, b"x" * 60)

    with pytest.raises(Problem, match="100 bytes, and have 60") as refused:
        store(limited, b"y" * 41)

    assert refused.value.status == 507
    assert len([path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]) == 1
    assert store(limited, b"y" * 40).size == 40


def test_deleted_files_make_room(limited: svcs.Container) -> None:
    first = store(limited, b"x" * 95)
    limited.get(FileService).delete(first.id)

    assert store(limited, b"y" * 95).size == 95


def test_it_is_told_before_the_body_comes(limited: svcs.Container) -> None:
    with pytest.raises(Problem, match="100 bytes"):
        limited.get(FileService).check_room(101)


def test_several_processes_see_one_quota(limited: svcs.Container, settings: Settings) -> None:
    other = svcs.Container(create_registry(load(Settings)))
    store(limited, b"x" * 50)
    store(other, b"y" * 45)

    with pytest.raises(Problem, match="have 95"):
        store(limited, b"z" * 45)
