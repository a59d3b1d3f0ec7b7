"""Removes the leftovers of earlier test runs: folders, and after a killed run also servers and mounted file systems.

A run locks its own file as long as it lives. The run's number is in the environment of each of its servers and in the
name of each of its folders and file systems.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

OWNER = "PIXMILL_TESTS"
"""Environment variable with the number of the run (its process id)."""
NAME = "pixmill-tests-"

_locks: list[IO[str]] = []
"""Files kept open as long as this process lives; the kernel releases their locks when it ends."""


def own() -> None:
    """Make this process the owner of everything that it and its test runners start."""
    path = _lock_file(os.getpid())
    lock = _locked(path)
    while not _is_at(path, lock):  # another run took it for a leftover before it was locked
        lock.close()
        lock = _locked(path)
    _locks.append(lock)
    os.environ[OWNER] = str(os.getpid())


def owner() -> dict[str, str]:
    """Return the variable for a server's environment; a benchmark becomes an owner with its first server."""
    if OWNER not in os.environ:
        own()
    return {OWNER: os.environ[OWNER]}


def disk_name() -> str:
    """Return the device name for file systems that a test mounts."""
    return NAME + owner()[OWNER]


def folder() -> Path:
    """Return the folder of this run, which may not exist yet."""
    return Path(tempfile.gettempdir()) / (NAME + owner()[OWNER])


def end_leftovers() -> str:
    """Remove the leftovers of finished runs.

    :returns: a message if a killed run left processes or file systems, else an empty string.
    """
    servers = [number for number, run in _owned_servers() if not _lives(run)]
    for number in servers:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    disks = [place for place, run in _owned_disks() if not _lives(run)]
    for place in disks:
        subprocess.run(["umount", "--lazy", place], check=False)
    for left in Path(tempfile.gettempdir()).glob(f"{NAME}*"):
        run = left.name.removeprefix(NAME).removesuffix(".lock")
        if left.is_dir() and run.isdecimal() and not _lives(int(run)):
            shutil.rmtree(left, ignore_errors=True)
        elif left.suffix == ".lock":
            _remove_if_free(left)
    if not servers and not disks:
        return ""
    return f"A test run was killed: ended {len(servers)} of its processes, unmounted {len(disks)} file systems."


def _lock_file(run: int) -> Path:
    return Path(tempfile.gettempdir()) / f"{NAME}{run}.lock"


def _locked(path: Path) -> IO[str]:
    lock = path.open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _remove_if_free(lock_file: Path) -> None:
    """Remove the file of a finished run, while holding its lock: a run that waits for the lock makes another file."""
    with suppress(OSError), lock_file.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock_file.unlink()


def _lives(run: int) -> bool:
    try:
        with _lock_file(run).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        # A run with another TMPDIR has its file there.
        return Path(f"/proc/{run}").exists()
    except OSError:  # locked, or it belongs to another user
        return True
    return False


def _owned_servers() -> list[tuple[int, int]]:
    """Return the servers started by runs, each with the number of its run."""
    runs = dict(_named_runs())
    # The environment of nginx's workers lacks the run's number; find them by the session of their master.
    leaders = {number: run for number, run in runs.items() if _session_of(number) == number}
    for place in Path("/proc").glob("[0-9]*"):
        number = int(place.name)
        if (session := _session_of(number)) in leaders:
            runs.setdefault(number, leaders[session])
    return list(runs.items())


def _named_runs() -> Iterator[tuple[int, int]]:
    """Yield the processes that have a run's number in their environment or, as nginx overwrites that, their command."""
    name = rb"(?:^|\0)" + OWNER.encode() + rb"=(\d+)|/" + NAME.encode() + rb"(\d+)/"
    for place in Path("/proc").glob("[0-9]*"):
        # The process belongs to another user, or has just ended.
        with suppress(OSError):
            if found := re.search(name, (place / "environ").read_bytes() + b"\0" + (place / "cmdline").read_bytes()):
                yield int(place.name), int(found[1] or found[2])


def _session_of(process: int) -> int:
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return 0


def _owned_disks() -> list[tuple[str, int]]:
    mounts = Path("/proc/self/mounts").read_text()
    return [(place, int(run)) for run, place in re.findall(rf"^{NAME}(\d+) (\S+) ", mounts, re.MULTILINE)]
