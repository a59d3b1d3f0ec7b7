"""What the file service promises, where its store does not do what it is asked for."""

from pathlib import Path

import pytest
import svcs
from file_storage.services.files import FileService
from file_storage.services.names import FileName
from file_storage.storage import Staging
from service_kit.problems import Problem


def test_a_file_is_deleted_though_its_bytes_cannot_be_removed(services: svcs.Container, tmp_path: Path) -> None:
    files = services.get(FileService)
    with services.get(Staging).stage() as staged:
        staged.write(b"content")
        file = files.store(staged, FileName("a", ".bin"), "", None)
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
