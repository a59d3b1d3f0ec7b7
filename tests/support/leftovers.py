"""What an earlier test run left behind: folders, and if it was killed also servers and mounted file systems.

Every server of a test has the process id of its test run in its environment, every folder and file system in its name.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

OWNER = "PIXMILL_TESTS"
"""The variable that holds the process id of the test run."""
NAME = "pixmill-tests-"


def own() -> None:
    """Make this process the owner of all that it and its test runners start."""
    os.environ[OWNER] = str(os.getpid())


def owner() -> dict[str, str]:
    """Return the variable for the environment of a server."""
    return {OWNER: os.environ.get(OWNER, str(os.getpid()))}


def disk_name() -> str:
    """Return the name under which a test mounts a file system."""
    return NAME + owner()[OWNER]


def folder() -> Path:
    """Return the folder of this test run, which may not exist yet."""
    return Path(tempfile.gettempdir()) / (NAME + owner()[OWNER])


def end_leftovers() -> str:
    """Remove what test runs that are gone have left.

    :returns: what was ended of a run that was killed, if anything.
    """
    servers = [number for number, run in _owned_servers() if not _is_test_run(run)]
    for number in servers:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    disks = [place for place, run in _owned_disks() if not _is_test_run(run)]
    for place in disks:
        subprocess.run(["umount", "--lazy", place], check=False)
    for left in Path(tempfile.gettempdir()).glob(f"{NAME}*"):
        if not _is_test_run(int(left.name.removeprefix(NAME))):
            shutil.rmtree(left, ignore_errors=True)
    if not servers and not disks:
        return ""
    return f"A test run was killed: ended {len(servers)} of its processes, unmounted {len(disks)} file systems."


def _owned_servers() -> list[tuple[int, int]]:
    """The processes that a test run started, each with the id of the run."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        # A process of somebody else, or one that has just ended.
        with suppress(OSError):
            if run := re.search(rb"(?:^|\0)" + OWNER.encode() + rb"=(\d+)", (place / "environ").read_bytes()):
                found.append((int(place.name), int(run[1])))
    return found


def _owned_disks() -> list[tuple[str, int]]:
    mounts = Path("/proc/self/mounts").read_text()
    return [(place, int(run)) for run, place in re.findall(rf"^{NAME}(\d+) (\S+) ", mounts, re.MULTILINE)]


def _is_test_run(process: int) -> bool:
    try:
        return b"pytest" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
