"""An upload or deletion that is killed at any step leaves either a complete file or none."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.services.files import FileService
from file_storage.services.fsck import Fsck
from file_storage.services.listing import FileFilter
from file_storage.services.names import FileName
from file_storage.services.storing import NewFile, StoringService
from file_storage.storage import Staging
from service_kit.access.principals import LOCAL
from service_kit.settings import load

from tests.support.object_store import ObjectStore
from tests.support.stored import stored

SCRIPT = Path(__file__).parent / "upload_killed.py"
CONTENT = b"half of it, and the rest"
MAX_STEPS = 60

Killed = Callable[[str, int], dict[str, int]]


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.thorough)])
def stored_names(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], list[str]]]:
    """Return a function that returns the names of all files on the disk and in S3, without those of the databases."""
    server = ObjectStore()
    if request.param == "s3":
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)

    def names() -> list[str]:
        on_disk = [path.name for path in tmp_path.rglob("*") if path.is_file()]
        in_s3 = [name.rpartition("/")[2] for name in server.objects]
        return sorted(name for name in on_disk + in_s3 if not name.startswith(("files.db", "access.db")))

    yield names
    server.close()


@pytest.fixture
def services(stored_names: Callable[[], list[str]]) -> svcs.Container:
    return svcs.Container(create_registry(load(Settings)))


@pytest.fixture
def killed(services: svcs.Container) -> Iterator[Killed]:
    """Return a function that uploads or deletes and is killed before a step; it returns the script's output."""
    with subprocess.Popen([sys.executable, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as script:
        assert script.stdin is not None
        assert script.stdout is not None
        asked, answers = script.stdin, script.stdout

        def run(action: str, step: int) -> dict[str, int]:
            asked.write(f"{action} {step}\n")
            asked.flush()
            printed: dict[str, int] = {}
            while "exit" not in printed:
                # The service logs to the same stream.
                word, _, number = answers.readline().partition(" ")
                if word in ("stored", "exit"):
                    printed[word] = int(number)
            return printed

        yield run


@pytest.mark.slow
def test_an_upload_killed_at_any_step_leaves_a_whole_file_or_none(
    services: svcs.Container, killed: Killed, stored_names: Callable[[], list[str]]
) -> None:
    files, fsck = services.get(FileService, Fsck)
    steps = 0
    while True:
        steps += 1
        printed = killed("upload", steps)
        found = files.page(LOCAL, FileFilter(), "", 10)

        assert [files.open(file).read() for file in found] == [CONTENT] * len(found)
        assert fsck.run(0, read_bytes=True).lost == 0
        assert stored_names() == [file.sha256 for file in found]
        if printed["exit"] == 0:
            break
        assert printed == {"exit": -signal.SIGKILL}
        assert steps < MAX_STEPS
        _retry_upload(services, files)

    assert steps > 10
    assert found[0].id == printed["stored"]


@pytest.mark.slow
def test_a_deletion_killed_at_any_step_leaves_a_whole_file_or_none(
    services: svcs.Container, killed: Killed, stored_names: Callable[[], list[str]]
) -> None:
    files, fsck = services.get(FileService, Fsck)
    steps = 0
    while True:
        steps += 1
        stored(services, CONTENT)
        printed = killed("delete", steps)
        found = files.page(LOCAL, FileFilter(), "", 10)

        assert [files.open(file).read() for file in found] == [CONTENT] * len(found)
        # An upload right after the crash, before gc.
        again = stored(services, CONTENT)
        assert fsck.run(0, read_bytes=True).lost == 0
        assert files.open(again).read() == CONTENT
        assert stored_names() == [again.sha256]
        if printed["exit"] == 0:
            break
        assert printed == {"exit": -signal.SIGKILL}
        assert steps < MAX_STEPS
        for file in (*found, again):
            files.delete(LOCAL, file.id)
        assert stored_names() == []

    assert steps > 5
    assert found == []


def _retry_upload(services: svcs.Container, files: FileService) -> None:
    """Retry the upload with the same key, as a client without a response does: exactly one file exists."""
    with services.get(Staging).stage() as staged:
        staged.write(CONTENT)
        file = services.get(StoringService).store(LOCAL, NewFile(staged, FileName("killed", ".bin"), "", "key"))
    assert len(files.page(LOCAL, FileFilter(), "", 10)) == 1
    files.delete(LOCAL, file.id)
