"""Real servers as child processes on free ports, in a temporary folder."""

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.waiting import wait_until

START_SECONDS = 300
"""Long, for busy machines; a server that exits during its start is noticed at once."""

_PORTS_OF_A_RUNNER = 300
_RUNNER = int(os.environ.get("PIXMILL_TEST_RUNNER") or os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_LOWEST_PORT = 10_000 + _RUNNER * _PORTS_OF_A_RUNNER
_ports = itertools.count(random.randrange(_PORTS_OF_A_RUNNER))


class MissingProgramError(Exception):
    """A server program is not installed on this machine."""


@contextmanager
def skip_where_missing() -> Iterator[None]:
    """Skip the test if a server is not installed; in CI, let it fail."""
    try:
        yield
    except MissingProgramError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


def free_port() -> int:
    """Return a port that no other process will take before the server does.

    It is below Linux's range for outgoing connections (from 32,768 on, ip_local_port_range), each parallel test runner
    has its own range, and no port is returned again soon.

    :raises RuntimeError: other processes have all ports of this runner.
    """
    for _ in range(_PORTS_OF_A_RUNNER):
        port = _LOWEST_PORT + next(_ports) % _PORTS_OF_A_RUNNER
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    highest = _LOWEST_PORT + _PORTS_OF_A_RUNNER - 1
    raise RuntimeError(
        f"the ports {_LOWEST_PORT} to {highest} are taken; end what uses them or choose others by PIXMILL_TEST_RUNNER"
    )


def find_program(name: str, *places: str) -> str:
    """Return the path of a server program; Debian installs many outside PATH."""
    for place in places:
        for folder in sorted(Path("/").glob(place.lstrip("/")), reverse=True):
            if (folder / name).exists():
                return str(folder / name)
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    if found is None:
        raise MissingProgramError(f"{name} is not installed; `make test` as root installs it on Debian")
    return found


class Process:
    """A server and its log; it is stopped together with its child processes.

    :param stop_signal: the signal that stops the server quickly, without waiting for its clients.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._stop_signal = stop_signal
        self._env = {**env, **leftovers.owner()}
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self._command,
                env=self._env,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.popen.poll() is not None:
                break
            if ready():
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")

    def logged(self, words: str) -> list[str]:
        """Wait until a line of the log contains these words; return all such lines."""

        def lines() -> list[str]:
            return [line for line in self.log.read_text().splitlines() if words in line]

        return wait_until(lines, f"{self.name} logs '{words}'")

    def stop(self, seconds: float = 20) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(self._stop_signal)
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)
        self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


def accepts(port: int) -> Callable[[], bool]:
    """Return a function that returns whether a server listens on the port."""

    def probe() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    return probe


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@contextmanager
def frozen(processes: Sequence[int]) -> Iterator[None]:
    """Suspend the processes during the block (SIGSTOP), then continue those that are still alive."""
    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def processes_of(folder: Path) -> dict[int, str]:
    """Return the commands, by process id, of the processes whose environment or command contains ``folder``."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (place / "cmdline").read_bytes()
            if os.fsencode(folder) in command + (place / "environ").read_bytes():
                found[int(place.name)] = command.decode(errors="replace").replace("\0", " ")
    return found


def kill_all(folder: Path) -> None:
    """Kill the processes that :func:`processes_of` returns."""
    for number in processes_of(folder):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def peak_of(process_id: int) -> int:
    """Return the peak memory of the process in bytes, including its libraries.

    getrusage would return the parent's peak if that was larger.
    """
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def memory_of(process_id: int) -> int:
    """Return the bytes of anonymous memory of the process, without the page cache; 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0
