"""What a killed test run leaves is removed by the next one."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.environment import PROJECT
from tests.support.waiting import wait_until

NAMES = {"NAME": "pixmill-leftovers-", "OWNER": "PIXMILL_LEFTOVERS"}
"""Others than those of test runs: one that starts meanwhile would remove these leftovers."""

RUN = f"""
import subprocess, sys
from tests.support import folders
vars(folders.leftovers).update({NAMES})
place = folders.temporary_folder("left")
quiet = {{"stdout": subprocess.DEVNULL, "start_new_session": True}}
server = subprocess.Popen(["sleep", "3600"], env=folders.leftovers.owner(), **quiet)
print(server.pid, place, flush=True)
sys.stdin.read()
"""


class Run:
    """Another test run, with a server and a folder.

    :param temporary: its folder for temporary files.
    """

    def __init__(self, temporary: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUN],
            cwd=PROJECT,
            env=os.environ | {"TMPDIR": temporary},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        server, place = self._process.stdout.readline().split()
        self.server, self.folder = int(server), Path(place)
        self.lock = Path(temporary) / f"{leftovers.NAME}{self._process.pid}.lock"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        self.kill()
        if self.has_server():
            os.kill(self.server, signal.SIGKILL)

    def has_server(self) -> bool:
        """Return whether the server runs; one that was killed may wait to be reaped."""
        try:
            return Path(f"/proc/{self.server}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except FileNotFoundError:
            return False


@pytest.fixture(autouse=True)
def other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NAMES.items():
        monkeypatch.setattr(leftovers, name, value)


@pytest.fixture
def run(other_names: None) -> Iterator[Run]:
    started = Run(tempfile.gettempdir())
    yield started
    started.end()


@pytest.fixture
def run_elsewhere(other_names: None, tmp_path: Path) -> Iterator[Run]:
    started = Run(str(tmp_path))
    yield started
    started.end()


def test_the_server_and_the_folder_of_a_killed_run_are_removed_with_a_message(run: Run) -> None:
    run.kill()

    message = leftovers.end_leftovers()

    wait_until(lambda: not run.has_server(), "the server has ended")
    assert message == "A test run was killed: ended 1 of its processes, unmounted 0 file systems."
    assert not run.folder.exists()
    assert not run.lock.exists()


def test_a_run_that_lives_keeps_what_it_has(run: Run) -> None:
    leftovers.end_leftovers()

    assert run.has_server()
    assert run.folder.exists()
    assert run.lock.exists()


def test_a_run_that_lives_keeps_its_server_if_it_has_another_folder_for_temporary_files(run_elsewhere: Run) -> None:
    leftovers.end_leftovers()

    assert run_elsewhere.has_server()


def test_the_server_of_a_killed_run_with_another_folder_for_temporary_files_is_ended(run_elsewhere: Run) -> None:
    run_elsewhere.kill()

    leftovers.end_leftovers()

    wait_until(lambda: not run_elsewhere.has_server(), "the server has ended")
