"""Transfers of ten thousand small files and of one with 5 GiB while the program and the server are killed.

The small files go to the full stack, where nginx answers for a server that was killed; the large one goes to the
embedded stack, where connections break.
"""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from tests.support.client import is_ready
from tests.support.environment import ENVIRONMENT, SCRIPTS
from tests.support.folders import temporary_folder
from tests.support.processes import kill_all, peak_of, skip_where_missing
from tests.support.stacks import EmbeddedStack, FullStack
from tests.support.waiting import wait_until

# Each test copies gigabytes or sends thousands of requests.
pytestmark = [pytest.mark.thorough, pytest.mark.timeout(1800)]

SMALL_FILES = 10_000
LARGE_MEGABYTES = 5 * 1024
UNREACHABLE = 5
"""The exit code of a program whose server is unreachable."""
HEADROOM = 48 * 2**20
"""Maximum growth of the program's memory with a hundred times as many files."""


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedStack]:
    running = EmbeddedStack(tmp_path, {"FILE_STORAGE_UPLOAD__MAX_BYTES": str(8 * 2**30)})
    yield running
    running.stop()
    # pytest would keep the folders of three runs.
    rmtree(tmp_path)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[FullStack]:
    with skip_where_missing():
        running = FullStack(temporary_folder("kills"))
    yield running
    running.stop()
    rmtree(tmp_path)


def environment_of(url: str, folder: Path) -> dict[str, str]:
    folders = {f"XDG_{kind}_HOME": str(folder / f".{kind}") for kind in ("CONFIG", "STATE", "CACHE")}
    return ENVIRONMENT | folders | {"PIXMILL_URL": url}


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


def test_ten_thousand_small_files_go_both_ways_although_the_program_and_the_server_were_killed(
    full: FullStack, tmp_path: Path
) -> None:
    environment = environment_of(full.url, tmp_path)
    contents = {f"{number}.txt": f"many {number}".encode() for number in range(SMALL_FILES)}
    few, many = tmp_path / "few", tmp_path / "many"
    for folder, count in ((few, 100), (many, SMALL_FILES)):
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.txt").write_text(f"{folder.name} {number}")

    def run(*words: str) -> Program:
        return Program(environment, tmp_path, *words)

    def finished_after_kills(*words: str) -> Program:
        """Kill the program, then the server under the next one; return the program that ends the work."""
        killed = run(*words)
        killed.wait_until_it_has_printed(SMALL_FILES // 4)
        killed.kill()
        left_alone = run(*words)
        left_alone.wait_until_it_has_printed(SMALL_FILES // 2)
        # Longer than the program retries.
        full.file_storage.kill()
        left_alone.end(UNREACHABLE)
        full.file_storage.start()
        full.await_ready()
        last = run(*words)
        last.end()
        return last

    base = run("put", "-r", "few")
    base.end()
    put = finished_after_kills("put", "-r", "many", "--skip-existing")
    listed = run("ls", "--folder", "many", "--json")
    listed.end()
    lines = listed.output.read_text().splitlines()
    get = finished_after_kills("get", "--filter", "folder=many", "-o", "back/")

    peaks = {"put of 100": base.peak, "put of the rest": put.peak, "ls": listed.peak, "get": get.peak}
    print("\npeak memory in MiB:", {name: peak >> 20 for name, peak in peaks.items()})
    assert len(lines) == SMALL_FILES
    assert len({line.partition('"sha256": "')[2][:64] for line in lines}) == SMALL_FILES
    # A program that was killed may leave a hidden partial file.
    back = {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir() if not path.name.startswith(".")}
    assert back == contents
    assert max(peaks.values()) < base.peak + HEADROOM


def test_a_large_file_goes_both_ways_although_the_program_and_the_server_were_killed(
    embedded: EmbeddedStack, tmp_path: Path
) -> None:
    environment = environment_of(embedded.url, tmp_path)
    digest = hashlib.sha256()
    block = os.urandom(2**20)
    with (tmp_path / "large.bin").open("wb") as file:
        for number in range(LARGE_MEGABYTES):
            piece = number.to_bytes(4) + block[4:]
            file.write(piece)
            digest.update(piece)

    def killed_server_ends(program: Program) -> None:
        """Kill the server for longer than the program retries, then start it again."""
        kill_all(embedded.data)
        embedded.process.kill()
        program.end(UNREACHABLE)
        embedded.process.start()
        embedded.process.wait_until(lambda: is_ready(embedded.url))

    def run(*words: str) -> Program:
        return Program(environment, tmp_path, *words)

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
