"""The sandbox of a process that decodes images, tested in a separate process."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from image_processor.confinement import landlock, system_calls

from tests.support.images import opened, photo

pytestmark = pytest.mark.slow

_PROGRAM = """
import json, os, socket, sqlite3, subprocess, sys
from pathlib import Path
from image_processor.config import WorkerSettings
from image_processor.handler.confinement import confine_worker
from image_processor.services.codec.limits import ImageLimits
from image_processor.services.codec.plan import plan_of
from image_processor.services.codec.process import process_image

folder = Path(sys.argv[1])
deleted = open(folder / "blobs/deleted", "rb")
(folder / "blobs/deleted").unlink()
confine_worker(WorkerSettings())

def process(source):
    process_image(source, {}, folder / "scratch/result", plan_of("resize", {"width": 20}), ImageLimits(10**6, 1))

def row():
    with sqlite3.connect(folder / "tasks.db") as database:
        database.execute("CREATE TABLE IF NOT EXISTS tried (value)")
        database.execute("INSERT INTO tried VALUES (1)")
    database.close()

ACTIONS = {
    "read a secret": lambda: (folder / "secret").read_text(),
    "read accounts": lambda: Path("/etc/passwd").read_text(),
    "read the environment of its parent": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    "write outside its data": lambda: (folder / "new").write_text("x"),
    "change a blob": lambda: (folder / "blobs/source").write_text("x"),
    "delete a blob": lambda: (folder / "blobs/source").unlink(),
    "start a program": lambda: subprocess.run(["/bin/true"], check=True),
    "connect to another port": lambda: socket.create_connection(("127.0.0.1", 9)),
    "listen": lambda: socket.create_server(("127.0.0.1", 0)),
    "listen without a port": lambda: socket.socket().listen(),
    "open a unix socket": lambda: socket.socket(socket.AF_UNIX),
    "udp": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
    "ping": lambda: socket.socket(type=socket.SOCK_DGRAM, proto=socket.IPPROTO_ICMP),
    "open a raw socket": lambda: socket.socket(type=socket.SOCK_RAW, proto=socket.IPPROTO_TCP),
    "open a socket of Multipath TCP": lambda: socket.socket(proto=262),
    "connect while sending": lambda: socket.socket().sendto(b"x", socket.MSG_FASTOPEN, ("127.0.0.1", 9)),
    "look up localhost": lambda: socket.getaddrinfo("localhost", 80),
    "signal its parent": lambda: os.kill(os.getppid(), 0),
    "decode": lambda: process(folder / "blobs/source"),
    "decode a file that was deleted": lambda: process(Path(f"/proc/self/fd/{deleted.fileno()}")),
    "write a row": row,
    "write a row again": row,
    "connect to the file server": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2]))),
}
said = {}
for name, action in ACTIONS.items():
    try:
        action()
    except OSError as error:
        said[name] = type(error).__name__
    else:
        said[name] = "done"
print(json.dumps(said))
"""

FORBIDDEN_FILES = ("read a secret", "read accounts", "write outside its data", "change a blob", "delete a blob")
FORBIDDEN_CALLS = (
    *("start a program", "open a unix socket", "listen without a port", "connect while sending"),
    *("ping", "open a raw socket", "open a socket of Multipath TCP"),
)
UNUSED_PORT = 9


class Tried(NamedTuple):
    """The outcomes of actions that a process attempted, and its folder."""

    outcomes: Mapping[str, str]
    folder: Path


def tried(folder: Path, sandbox: str, file_server: str = "127.0.0.1") -> Tried:
    for name in ("scratch", "blobs"):
        (folder / name).mkdir()
    for name in ("source", "deleted"):
        (folder / "blobs" / name).write_bytes(photo())
    (folder / "secret").write_text("secret")
    settings = {
        "WORKER_SANDBOX": sandbox,
        "WORKER_CONFIG": os.devnull,
        "PIXMILL_WORKER_INNER_SECRET": "a-secret-of-inner-calls-in-tests-only",
        "WORKER_DATABASE__URL": f"sqlite:///{folder}/tasks.db",
        "WORKER_BROKER__URL": "filesystem://localhost",
        "WORKER_SCRATCH_FOLDER": str(folder / "scratch"),
        "WORKER_FILE_STORAGE__URL": f"http://{file_server}:{UNUSED_PORT + 1}/api/file-server",
        "WORKER_FILE_STORAGE__BLOBS_FOLDER": str(folder / "blobs"),
        "WORKER_FILE_STORAGE__BLOBS_URL": "",
        "PIXMILL_CALLBACK_SECRET": "s" * 32,
        "TMPDIR": str(folder / "scratch"),
    }
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(folder), str(UNUSED_PORT + 1)],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return Tried(json.loads(run.stdout), folder)


@pytest.fixture(scope="module")
def confined(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    return tried(tmp_path_factory.mktemp("confined"), "auto")


def skip_without_landlock(version: int = 1) -> None:
    try:
        have = landlock.version()
    except OSError as error:
        pytest.skip(f"the kernel has no Landlock: {error}")
    if have < version:
        pytest.skip(f"the kernel has Landlock {have}; this needs {version}")


@pytest.mark.parametrize("action", FORBIDDEN_FILES)
def test_a_confined_process_reaches_no_file_but_its_own(confined: Tried, action: str) -> None:
    skip_without_landlock()

    assert confined.outcomes[action] == "PermissionError"


def test_a_confined_process_cannot_read_the_environment_of_another(confined: Tried) -> None:
    skip_without_landlock()

    assert confined.outcomes["read the environment of its parent"] == "PermissionError"


def test_a_confined_process_connects_only_to_the_ports_it_needs(confined: Tried) -> None:
    skip_without_landlock(landlock.PORTS_SINCE)

    assert confined.outcomes["connect to another port"] == "PermissionError"
    assert confined.outcomes["listen"] == "PermissionError"
    assert confined.outcomes["connect to the file server"] == "ConnectionRefusedError"


def test_a_confined_process_cannot_signal_others(confined: Tried) -> None:
    skip_without_landlock(landlock.SCOPES_SINCE)

    assert confined.outcomes["signal its parent"] == "PermissionError"


@pytest.mark.skipif(not system_calls.available(), reason="the kernel has no seccomp, or it is another processor")
@pytest.mark.parametrize("action", [*FORBIDDEN_CALLS, "udp"])
def test_a_confined_process_cannot_make_system_calls_that_decoding_does_not_need(confined: Tried, action: str) -> None:
    assert confined.outcomes[action] in ("PermissionError", "OSError")


@pytest.mark.skipif(not system_calls.available(), reason="the kernel has no seccomp, or it is another processor")
def test_a_confined_process_that_looks_up_names_may_use_udp_and_nothing_else(tmp_path: Path) -> None:
    outcomes = tried(tmp_path, "auto", "files.example").outcomes

    assert outcomes["udp"] == "done"
    assert {outcomes[action] for action in FORBIDDEN_CALLS} <= {"PermissionError", "OSError"}


@pytest.mark.parametrize(
    "action", [*("decode", "decode a file that was deleted", "write a row", "write a row again"), "look up localhost"]
)
def test_a_confined_process_can_do_its_work(confined: Tried, action: str) -> None:
    assert confined.outcomes[action] == "done"
    assert opened((confined.folder / "scratch/result").read_bytes()).width == 20


def test_a_setting_turns_the_sandbox_off(tmp_path: Path) -> None:
    free = tried(tmp_path, "off")

    assert free.outcomes["read a secret"] == "done"
    assert free.outcomes["start a program"] == "done"
    assert free.outcomes["udp"] == "done"
    assert free.outcomes["connect while sending"] == "ConnectionRefusedError"
