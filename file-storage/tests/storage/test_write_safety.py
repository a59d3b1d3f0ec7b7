"""An upload that is killed at any step leaves the file whole, or nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
import svcs
from file_storage.services.files import FileService
from file_storage.services.fsck import Fsck
from file_storage.services.listing import FileFilter
from file_storage.services.names import FileName
from file_storage.services.storing import StoringService
from file_storage.storage import Staging

SCRIPT = Path(__file__).parent / "upload_killed.py"
CONTENT = b"half of it, and the rest"
MORE_STEPS_THAN_AN_UPLOAD_HAS = 60


@pytest.mark.slow
def test_whatever_the_step_the_file_is_whole_or_not_there(services: svcs.Container, tmp_path: Path) -> None:
    files, fsck = services.get(FileService, Fsck)
    steps = 0
    while True:
        steps += 1
        run = subprocess.run([sys.executable, SCRIPT, str(steps)], capture_output=True, text=True, check=False)
        there = files.page(FileFilter(), "", 10)

        assert [files.open(file).read() for file in there] == [CONTENT] * len(there)
        assert fsck.run(0, read_bytes=True).lost == 0
        left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file() and "files.db" not in path.name)
        assert left == [file.sha256 for file in there]
        if run.returncode == 0:
            break
        assert run.returncode == -9, run.stderr
        assert steps < MORE_STEPS_THAN_AN_UPLOAD_HAS
        _upload_again(services, files)

    assert steps > 10
    assert there[0].id == int(run.stdout.splitlines()[-1])


def _upload_again(services: svcs.Container, files: FileService) -> None:
    """What the client does that got no answer: the same key gives one file, whatever the first attempt left."""
    with services.get(Staging).stage() as staged:
        staged.write(CONTENT)
        file = services.get(StoringService).store(staged, FileName("killed", ".bin"), "", "key")
    assert len(files.page(FileFilter(), "", 10)) == 1
    files.delete(file.id)
