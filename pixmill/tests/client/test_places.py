"""The client's own files."""

import errno
import os
import stat
from pathlib import Path

import pytest
from pixmill.client.places import write_private


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EACCES])
def test_a_file_is_written_also_where_folders_cannot_be_synced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int
) -> None:
    fsync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)

    write_private(tmp_path / "a.json", "{}")

    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "{}")]
