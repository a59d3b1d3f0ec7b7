"""What an earlier test run left behind: folders, and if it was killed also servers and mounted file systems.

A run holds a lock on a file of its own for as long as it lives. Every server has the run's number in its environment,
every folder and file system in its name.
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
"""The variable that holds the number of the run: its process id."""
NAME = "pixmill-tests-"

_locks: list[IO[str]] = []
"""Open for as long as this process lives; the kernel unlocks them when it ends."""


def own() -> None:
    """Make this process the owner of all that it and its test runners start."""
    lock = _lock_file(os.getpid()).open("w")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _locks.append(lock)
    os.environ[OWNER] = str(os.getpid())


def owner() -> dict[str, str]:
    """Return the variable for the environment of a server; a benchmark becomes an owner by its first server."""
    if OWNER not in os.environ:
        own()
    return {OWNER: os.environ[OWNER]}


def disk_name() -> str:
    """Return the name under which a test mounts a file system."""
    return NAME + owner()[OWNER]


def folder() -> Path:
    """Return the folder of this run, which may not exist yet."""
    return Path(tempfile.gettempdir()) / (NAME + owner()[OWNER])


def end_leftovers() -> str:
    """Remove what runs that are gone have left.

    :returns: what was ended of a run that was killed, if anything.
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
        if run.isdecimal() and not _lives(int(run)):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    if not servers and not disks:
        return ""
    return f"A test run was killed: ended {len(servers)} of its processes, unmounted {len(disks)} file systems."


def _lock_file(run: int) -> Path:
    return Path(tempfile.gettempdir()) / f"{NAME}{run}.lock"


def _lives(run: int) -> bool:
    try:
        with _lock_file(run).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:  # somebody holds it, or it is another user's
        return True
    return False


def _owned_servers() -> list[tuple[int, int]]:
    """The processes that a run started, each with the number of the run."""
    runs = dict(_named_runs())
    # nginx's workers name no run: they are known by their master, which leads a session of its own.
    leaders = {number: run for number, run in runs.items() if _session_of(number) == number}
    for place in Path("/proc").glob("[0-9]*"):
        number = int(place.name)
        if (session := _session_of(number)) in leaders:
            runs.setdefault(number, leaders[session])
    return list(runs.items())


def _named_runs() -> Iterator[tuple[int, int]]:
    """The processes whose environment or command names a run. nginx overwrites its environment."""
    name = rb"(?:^|\0)" + OWNER.encode() + rb"=(\d+)|/" + NAME.encode() + rb"(\d+)/"
    for place in Path("/proc").glob("[0-9]*"):
        # A process of somebody else, or one that has just ended.
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
