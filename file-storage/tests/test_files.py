"""What the file service promises where its store does not do what it is asked for, or another comes between."""

from pathlib import Path

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.services.files import FileService
from service_kit.database import Database
from service_kit.migrations import migrate
from service_kit.problems import Problem
from service_kit.settings import load
from sqlalchemy import event

from tests.conftest import started_postgres
from tests.stored import stored


def test_a_file_is_deleted_though_its_bytes_cannot_be_removed(services: svcs.Container, tmp_path: Path) -> None:
    files, file = services.get(FileService), stored(services, b"content")
    blob = tmp_path / "blobs" / files.location(file)
    blob.unlink()
    blob.mkdir()  # nobody can unlink it, not even root

    files.delete(file.id)

    with pytest.raises(Problem, match="no file"):
        files.get(file.id)
    blob.rmdir()
    blob.write_bytes(b"content")
    assert files.collect_garbage(0).blobs == 1
    assert not blob.exists()


@pytest.mark.usefixtures("settings")
def test_a_key_whose_file_is_deleted_meanwhile_is_to_be_tried_again(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started_postgres(tmp_path_factory, "keys") as url:
        migrate(url, "file_storage")
        monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", url)
        services = svcs.Container(create_registry(load(Settings)))
        files, file = services.get(FileService), stored(services, b"content", "key")

        def delete_behind(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if "FROM idempotency_keys" in statement and "fingerprint" in statement:
                files.delete(file.id)

        event.listen(services.get(Database).engine, "after_cursor_execute", delete_behind)
        with pytest.raises(Problem, match="try again"):
            stored(services, b"content", "key")
        event.remove(services.get(Database).engine, "after_cursor_execute", delete_behind)

        assert stored(services, b"content", "key").id != file.id
