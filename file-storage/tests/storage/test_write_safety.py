"""An upload that is killed at any step leaves either a complete file or none."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import svcs
from file_storage.config import Settings
from file_storage.services.files import FileService
from file_storage.services.fsck import Fsck
from file_storage.services.listing import FileFilter
from file_storage.services.names import FileName
from file_storage.services.storing import NewFile, StoringService
from file_storage.storage import Staging
from service_kit.access.principals import LOCAL

SCRIPT = Path(__file__).parent / "upload_killed.py"
CONTENT = b"half of it, and the rest"
MAX_STEPS = 60

Upload = Callable[[int], dict[str, int]]


@pytest.fixture
def uploads(settings: Settings) -> Iterator[Upload]:
    """Return a function that uploads a file and is killed before a step; it returns the script's output."""
    with subprocess.Popen([sys.executable, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as script:
        assert script.stdin is not None
        assert script.stdout is not None
        asked, answers = script.stdin, script.stdout

        def upload(step: int) -> dict[str, int]:
            asked.write(f"{step}\n")
            asked.flush()
            printed: dict[str, int] = {}
            while "exit" not in printed:
                # The service logs to the same stream.
                word, _, number = answers.readline().partition(" ")
                if word in ("stored", "exit"):
                    printed[word] = int(number)
            return printed

        yield upload


@pytest.mark.slow
def test_an_upload_killed_at_any_step_leaves_a_whole_file_or_none(
    services: svcs.Container, uploads: Upload, tmp_path: Path
) -> None:
    files, fsck = services.get(FileService, Fsck)
    steps = 0
    while True:
        steps += 1
        printed = uploads(steps)
        found = files.page(LOCAL, FileFilter(), "", 10)

        assert [files.open(file).read() for file in found] == [CONTENT] * len(found)
        assert fsck.run(0, read_bytes=True).lost == 0
        left = sorted(
            path.name
            for path in tmp_path.rglob("*")
            if path.is_file() and not path.name.startswith(("files.db", "access.db"))
        )
        assert left == [file.sha256 for file in found]
        if printed["exit"] == 0:
            break
        assert printed == {"exit": -signal.SIGKILL}
        assert steps < MAX_STEPS
        _retry_upload(services, files)

    assert steps > 10
    assert found[0].id == printed["stored"]


def _retry_upload(services: svcs.Container, files: FileService) -> None:
    """Retry the upload with the same key, as a client without a response does: exactly one file exists."""
    with services.get(Staging).stage() as staged:
        staged.write(CONTENT)
        file = services.get(StoringService).store(LOCAL, NewFile(staged, FileName("killed", ".bin"), "", "key"))
    assert len(files.page(LOCAL, FileFilter(), "", 10)) == 1
    files.delete(LOCAL, file.id)
