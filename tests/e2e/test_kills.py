"""Transfers of ten thousand small files and of one with 2 GiB while the program or the server is killed."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from tests.support.client import is_ready
from tests.support.environment import ENVIRONMENT, SCRIPTS
from tests.support.processes import kill_all, peak_of
from tests.support.stacks import EmbeddedStack
from tests.support.waiting import wait_until

# Each test copies gigabytes or sends thousands of requests.
pytestmark = [pytest.mark.thorough, pytest.mark.timeout(1800)]

SMALL_FILES = 10_000
LARGE_MEGABYTES = 2048
UNREACHABLE = 5
"""The exit code of a program whose server is unreachable."""
HEADROOM = 48 * 2**20
"""Maximum growth of the program's memory with a hundred times as many files."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[EmbeddedStack]:
    running = EmbeddedStack(tmp_path, {"FILE_STORAGE_UPLOAD__MAX_BYTES": str(4 * 2**30)})
    yield running
    running.stop()
    # pytest would keep the folders of three runs.
    rmtree(tmp_path)


@pytest.fixture
def command_environment(stack: EmbeddedStack, tmp_path: Path) -> dict[str, str]:
    folders = {f"XDG_{kind}_HOME": str(tmp_path / f".{kind}") for kind in ("CONFIG", "STATE", "CACHE")}
    return ENVIRONMENT | folders | {"PIXMILL_URL": stack.url}


class Program:
    """A running command with its output in a file."""

    def __init__(self, environment: dict[str, str], folder: Path, *words: str) -> None:
        self.output = folder / "output"
        with self.output.open("w") as output:
            self._popen = subprocess.Popen(
                [str(SCRIPTS / "pixmill"), *words], env=environment, cwd=folder, stdout=output, stderr=output
            )
        self.peak = 0

    def wait_until_it_has_moved(self, megabytes: int) -> None:
        """Wait until the program has read or written this many megabytes."""

        def has_moved() -> bool:
            assert self._popen.poll() is None, self.output.read_text()
            counters = dict(line.split(": ") for line in Path(f"/proc/{self._popen.pid}/io").read_text().splitlines())
            return max(int(counters["rchar"]), int(counters["wchar"])) > megabytes * 2**20

        wait_until(has_moved, f"the program has moved {megabytes} MiB")

    def wait_until_it_has_printed(self, lines: int) -> None:
        wait_until(lambda: self.output.read_bytes().count(b"\n") >= lines, f"{lines} lines of output")

    def kill(self) -> None:
        self._popen.kill()
        assert self._popen.wait() < 0, "the program had ended before it was killed"

    def end(self, code: int = 0) -> None:
        """Wait until the program exits with this code; record its peak memory."""
        while True:
            try:
                # The kernel has no data of a process that has ended.
                self.peak = max(self.peak, peak_of(self._popen.pid))
            except (OSError, IndexError):
                break
            try:
                self._popen.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        assert self._popen.wait() == code, self.output.read_text()


def test_ten_thousand_small_files_arrive_once_although_the_program_was_killed(
    command_environment: dict[str, str], tmp_path: Path
) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    for folder, count in ((few, 100), (many, SMALL_FILES)):
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.txt").write_text(f"{folder.name} {number}")
    base = Program(command_environment, tmp_path, "put", "-r", "few")
    base.end()

    killed = Program(command_environment, tmp_path, "put", "-r", "many", "--skip-existing")
    killed.wait_until_it_has_printed(SMALL_FILES // 4)
    killed.kill()
    resumed = Program(command_environment, tmp_path, "put", "-r", "many", "--skip-existing")
    resumed.end()
    listed = Program(command_environment, tmp_path, "ls", "--folder", "many", "--json")
    listed.end()

    lines = listed.output.read_text().splitlines()
    print(f"\npeak memory: put of 100 {base.peak >> 20} MiB, of the rest {resumed.peak >> 20}, ls {listed.peak >> 20}")
    assert len(lines) == SMALL_FILES
    assert len({line.partition('"sha256": "')[2][:64] for line in lines}) == SMALL_FILES
    assert max(resumed.peak, listed.peak) < base.peak + HEADROOM


def test_a_large_file_goes_both_ways_although_the_program_and_the_server_were_killed(
    stack: EmbeddedStack, command_environment: dict[str, str], tmp_path: Path
) -> None:
    digest = hashlib.sha256()
    block = os.urandom(2**20)
    with (tmp_path / "large.bin").open("wb") as file:
        for number in range(LARGE_MEGABYTES):
            piece = number.to_bytes(4) + block[4:]
            file.write(piece)
            digest.update(piece)

    def killed_server_ends(program: Program) -> None:
        """Kill the server for longer than the program retries, then start it again."""
        kill_all(stack.data)
        stack.process.kill()
        program.end(UNREACHABLE)
        stack.process.start()
        stack.process.wait_until(lambda: is_ready(stack.url))

    def run(*words: str) -> Program:
        return Program(command_environment, tmp_path, *words)

    first = run("put", "large.bin")
    first.wait_until_it_has_moved(LARGE_MEGABYTES // 3)
    first.kill()
    second = run("put", "large.bin")
    second.wait_until_it_has_moved(LARGE_MEGABYTES // 4)
    killed_server_ends(second)
    put = run("put", "large.bin", "-q")
    put.end()
    file_id = put.output.read_text().strip()
    (tmp_path / "large.bin").unlink()
    first = run("get", file_id, "-o", "back.bin")
    first.wait_until_it_has_moved(LARGE_MEGABYTES // 3)
    first.kill()
    second = run("get", file_id, "-o", "back.bin")
    second.wait_until_it_has_moved(LARGE_MEGABYTES // 4)
    killed_server_ends(second)
    get = run("get", file_id, "-o", "back.bin")
    get.end()

    print(f"\npeak memory: put {put.peak >> 20} MiB, get {get.peak >> 20} MiB")
    with (tmp_path / "back.bin").open("rb") as back:
        assert hashlib.file_digest(back, "sha256").hexdigest() == digest.hexdigest()
    assert max(put.peak, get.peak) < 2**27
