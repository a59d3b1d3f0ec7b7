"""Uploads and downloads: outcomes, exit codes, target paths, and folders that are followed."""

import fcntl
import hashlib
import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from errno import EACCES
from http.client import (
    CONFLICT,
    CREATED,
    INSUFFICIENT_STORAGE,
    INTERNAL_SERVER_ERROR,
    LOCKED,
    NO_CONTENT,
    OK,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    UNPROCESSABLE_ENTITY,
)
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import pytest
from pixmill.cli import app
from pixmill.client.locks import in_turn, locked, opened_alone
from pixmill.client.places import state_folder
from pixmill.commands.console import Exit
from typer.testing import Result

from pixmill import Retries
from tests.support.answering import Answer, Answering, FakeServer, file_row, problem, with_request_ids

Command = Callable[..., Result]
CONTENT = b"abc"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ROW = file_row(1, sha256=DIGEST)


def archive() -> bytes:
    packed = io.BytesIO()
    with ZipFile(packed, "w") as file:
        file.writestr("a.txt", CONTENT)
    return packed.getvalue()


def stored(_method: str, path: str, _body: bytes) -> Answer:
    """Answer as a server that has one file."""
    if path.endswith("/archive"):
        return OK, archive()
    if path.endswith("/lookup"):
        return OK, {"files": [ROW]}
    return OK, CONTENT if path.endswith("/download") else ROW


@pytest.fixture
def files(command: Command) -> list[str]:
    """Return the names of three files in the current folder."""
    del command  # it chooses the folder
    names = ["a.txt", "b.txt", "c.txt"]
    for name in names:
        Path(name).write_bytes(CONTENT)
    return names


def test_a_wrong_key_has_its_exit_code_also_with_several_files(
    fake_server: FakeServer, command: Command, files: list[str]
) -> None:
    fake_server.answer = lambda _method, _path, _body: problem(UNAUTHORIZED, "unauthorized")

    run = command("put", *files)

    assert run.exit_code == Exit.SIGN_IN
    assert len(fake_server.requests) == 1


def test_a_server_that_is_away_is_not_asked_again_for_each_file(
    fake_server: FakeServer, command: Command, files: list[str]
) -> None:
    fake_server.answer = lambda _method, _path, _body: None

    run = command("put", *files)

    assert run.exit_code == Exit.UNREACHABLE
    assert len(fake_server.requests) == Retries().attempts


def test_a_refused_file_does_not_stop_the_others(fake_server: FakeServer, command: Command, files: list[str]) -> None:
    refused = problem(UNPROCESSABLE_ENTITY, "invalid-fields")[1]
    results = [{"problem": refused}, {"file": ROW}, {"file": file_row(2, sha256=DIGEST)}]
    fake_server.answer = lambda _method, _path, _body: (OK, {"files": results})

    run = command("put", *files, "-q")

    assert (run.exit_code, run.stdout) == (Exit.SOME_FAILED, "1\n2\n")
    assert run.stderr == "a.txt: invalid-fields.\n"


def test_an_interrupted_upload_says_how_to_send_only_the_others(
    fake_server: FakeServer, command: Command, files: list[str]
) -> None:
    def answer(_method: str, _path: str, _body: bytes) -> Answer:
        os.kill(os.getpid(), signal.SIGINT)
        return OK, {"files": [{"file": ROW}] * 3}

    fake_server.answer = answer

    run = command("put", *files)

    assert run.exit_code == Exit.INTERRUPTED
    assert "of 3 files are stored; the same command with --skip-existing" in " ".join(run.stderr.split())


def test_a_dry_run_sends_no_stdin(fake_server: FakeServer, command: Command) -> None:
    run = command("put", "-", "--name", "a.txt", "--dry-run", stdin=CONTENT)

    assert (run.exit_code, run.stdout, fake_server.requests) == (0, "a.txt\n", [])


@pytest.mark.parametrize(
    ("name", "folder", "is_sent"),
    [
        ("a.txt", "", False),
        ("deep/a.txt", "deep", False),
        ("deep\\a.txt", "deep", False),
        ("/deep/a.txt", "", False),
        ("b.txt", "", True),
        ("a.txt", "deep", True),
    ],
)
def test_what_the_server_has_already_is_not_sent_from_stdin_either(
    fake_server: FakeServer, command: Command, name: str, folder: str, is_sent: bool
) -> None:
    row = {**ROW, "folder": folder}

    def answer(method: str, path: str, body: bytes) -> Answer:
        if path.endswith("/lookup"):
            return OK, {"files": [row]}
        return (OK, []) if method == "GET" else stored(method, path, body)

    fake_server.answer = answer

    run = command("put", "-", "--name", name, "--skip-existing", stdin=CONTENT)

    assert run.exit_code == 0
    assert [method for method, _, _ in fake_server.requests if method == "PUT"] == ["PUT"] * is_sent


def test_a_file_under_another_name_is_not_sent_if_the_server_stores_it(
    fake_server: FakeServer, command: Command, files: list[str]
) -> None:
    fake_server.answer = stored

    run = command("put", files[1], "--name", "a.txt", "--skip-existing", "-q")

    assert (run.exit_code, run.stdout) == (0, "1\n")
    assert [path for _, path, _ in fake_server.requests] == ["/api/file-server/lookup"]


def test_a_dry_run_names_only_the_files_that_the_server_does_not_have(
    fake_server: FakeServer, command: Command, files: list[str]
) -> None:
    Path("b.txt").write_bytes(b"new")

    def answer(_method: str, path: str, body: bytes) -> Answer:
        if not path.endswith("/lookup"):
            return OK, []
        return OK, {"files": [ROW] if json.loads(body)["sha256"] == [DIGEST] else []}

    fake_server.answer = answer

    run = command("put", "a.txt", "b.txt", "--skip-existing", "--dry-run")
    stdin = command("put", "-", "--name", "a.txt", "--skip-existing", "--dry-run", stdin=CONTENT)

    assert (run.exit_code, run.stdout) == (0, "b.txt\n")
    assert (stdin.exit_code, stdin.stdout) == (0, "")
    assert [method for method, _, _ in fake_server.requests if method == "PUT"] == []


class TusServer:
    """The answers of a server whose connection breaks while it takes the second chunk of an upload."""

    def __init__(self, *, breaks: bool = True) -> None:
        self.created = 0
        self.received = bytearray()
        self.breaks = breaks

    def __call__(self, method: str, path: str, body: bytes) -> Answer | None:
        if method == "POST":
            self.created += 1
            headers = {"Location": f"{path}/u{self.created}", "Upload-Offset": "0"}
            return CREATED, b"", headers
        if method == "PATCH":
            if self.received and self.breaks:
                return None
            self.received += body
        if method == "GET":
            digest = hashlib.sha256(self.received).hexdigest()
            return OK, file_row(1, size=len(self.received), sha256=digest)
        done = {"Pixmill-File-Id": "1"} if len(self.received) == LARGE else {}
        return NO_CONTENT, b"", {"Upload-Offset": str(len(self.received)), **done}


LARGE = 17 * 2**20
"""More bytes than an upload in one request has."""


def test_stdin_goes_on_where_an_interrupted_command_stopped(fake_server: FakeServer, command: Command) -> None:
    server = TusServer()
    fake_server.answer = server
    content = os.urandom(LARGE)

    first = command("put", "-", "--name", "a.bin", "-q", stdin=content)
    server.breaks = False
    second = command("put", "-", "--name", "a.bin", "-q", stdin=content)

    assert (first.exit_code, second.exit_code, second.stdout) == (Exit.UNREACHABLE, 0, "1\n"), second.stderr
    assert (server.created, bytes(server.received) == content) == (1, True)
    assert list((state_folder() / "stdin").iterdir()) == []


@pytest.mark.parametrize("options", [[], ["--name", "b.bin"]], ids=["its own name", "another name"])
def test_one_large_file_goes_on_where_ctrl_c_stopped_it(
    fake_server: FakeServer, command: Command, options: Sequence[str]
) -> None:
    content = os.urandom(LARGE)
    Path("a.bin").write_bytes(content)
    server = TusServer(breaks=False)

    def interrupted(method: str, path: str, body: bytes) -> Answer | None:
        if method == "PATCH":
            os.kill(os.getpid(), signal.SIGINT)
        return server(method, path, body)

    fake_server.answer = interrupted
    first = command("put", "a.bin", *options, "-q")
    fake_server.answer = server
    second = command("put", "a.bin", *options, "-q")

    said = "pixmill: interrupted; the same command goes on where this one stopped\n"
    assert (first.exit_code, first.stderr) == (Exit.INTERRUPTED, said)
    assert (second.exit_code, second.stdout) == (0, "1\n"), second.stderr
    assert (server.created, bytes(server.received) == content) == (1, True)


def test_stdin_deletes_what_killed_commands_left(
    fake_server: FakeServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server.answer = TusServer(breaks=False)
    folder = state_folder() / "stdin"
    folder.mkdir(parents=True)
    for name in ("killed", "killed.lock", "running"):
        (folder / name).write_bytes(CONTENT)
    later = time.time() + 2 * 86_400
    monkeypatch.setattr("time.time", lambda: later)

    with locked(folder / "running.lock", "another program has the lock"):
        run = command("put", "-", "--name", "a.bin", "-q", stdin=bytes(LARGE))
        left = {path.name for path in folder.iterdir()}

    assert (run.exit_code, left) == (0, {"running", "running.lock"}), run.stderr


def test_stdin_leaves_what_another_command_has_just_begun(fake_server: FakeServer, command: Command) -> None:
    fake_server.answer = TusServer(breaks=False)
    folder = state_folder() / "stdin"
    folder.mkdir(parents=True)
    (folder / "begun").write_bytes(CONTENT)

    command("put", "-", "--name", "a.bin", "-q", stdin=bytes(LARGE))

    assert [path.name for path in folder.iterdir()] == ["begun"]


def test_stdin_waits_while_another_command_sweeps_a_copy_of_the_same_bytes(
    fake_server: FakeServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server.answer = TusServer(breaks=False)
    folder = state_folder() / "stdin"
    sweep = ExitStack()
    sweep.enter_context(in_turn(folder.with_name("stdin.lock")))
    sweep.enter_context(locked(folder / f"{hashlib.sha256(bytes(LARGE)).hexdigest()}.lock", "swept"))
    lock = fcntl.flock

    def lock_after_the_sweep(file: IO[bytes], operation: int) -> None:
        if operation == fcntl.LOCK_EX:
            sweep.close()
        lock(file, operation)

    monkeypatch.setattr("fcntl.flock", lock_after_the_sweep)

    run = command("put", "-", "--name", "a.bin", "-q", stdin=bytes(LARGE))

    assert (run.exit_code, run.stdout) == (0, "1\n"), run.stderr


def test_a_sweep_lets_commands_wait(fake_server: FakeServer, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_server.answer = TusServer(breaks=False)
    folder = state_folder() / "stdin"
    folder.mkdir(parents=True)
    (folder / "killed").write_bytes(CONTENT)
    later = time.time() + 2 * 86_400
    monkeypatch.setattr("time.time", lambda: later)
    delete = Path.unlink
    swept: list[str] = []

    def delete_while_others_wait(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == "killed":
            with pytest.raises(BlockingIOError):
                opened_alone(folder.with_name("stdin.lock"))
            swept.append(path.name)
        delete(path, missing_ok=missing_ok)

    monkeypatch.setattr("pathlib.Path.unlink", delete_while_others_wait)

    command("put", "-", "--name", "a.bin", "-q", stdin=bytes(LARGE))

    assert swept == ["killed"]


def test_a_small_stdin_is_spooled_in_the_folder_for_temporary_files(
    fake_server: FakeServer, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    spooled: list[bytes] = []

    def answer(method: str, path: str, body: bytes) -> Answer:
        spooled.extend(found.read_bytes() for found in temporary.glob("*/*"))
        return takes_each(method, path, body)

    fake_server.answer = answer

    command("put", "-", "--name", "a.txt", stdin=CONTENT)

    assert (spooled, list(temporary.iterdir()), state_folder().exists()) == ([CONTENT], [], False)


@contextmanager
def unread_stdout() -> Iterator[None]:
    """Give the program a standard output whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    with suppress(BrokenPipeError), os.fdopen(writing, "w") as stdout, redirect_stdout(stdout):
        yield


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("put", "a.txt", "b.txt"), Exit.SOME_FAILED),
        (("get", "1", "-o", "out/"), Exit.SOME_FAILED),
        (("get", "1", "-o", "-"), Exit.OK),
        (("api", "GET", "/api/file-server/1"), Exit.OK),
        (("api", "DELETE", "/api/file-server/1"), Exit.SOME_FAILED),
        (("show", "1"), Exit.OK),
        (("trash",), Exit.OK),
        (("trash", "--empty", "--yes"), Exit.SOME_FAILED),
    ],
)
@pytest.mark.usefixtures("files")
def test_a_command_that_stops_before_its_end_because_nobody_reads_it_fails_if_it_changes_something(
    fake_server: FakeServer, words: tuple[str, ...], code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(method: str, path: str, body: bytes) -> Answer:
        if path.endswith("/batch"):
            return OK, {"files": [{"file": ROW}] * 2}
        if path.endswith("/trash/empty"):
            return OK, {"removed": 1, "more": False}
        return (OK, [ROW]) if path.partition("?")[0].endswith("/trash") else stored(method, path, body)

    fake_server.answer = answer

    with unread_stdout(), pytest.raises(SystemExit) as ended:
        app(list(words))

    assert ended.value.code == code
    assert ("nobody reads stdout" in capsys.readouterr().err) == (code is not Exit.OK)


def test_linked_folders_are_skipped_and_counted(command: Command) -> None:
    for name in ("photos/a.jpg", "elsewhere/b.jpg"):
        Path(name).parent.mkdir()
        Path(name).touch()
    Path("photos/linked").symlink_to(Path("elsewhere").resolve())

    put = command("put", "-r", "photos", "--dry-run")
    synced = command("sync", "photos", "--dry-run")

    assert (put.stdout, synced.stdout) == ("photos/a.jpg\n", "a.jpg\n")
    assert put.stderr == synced.stderr == "1 folder that is a symbolic link was skipped\n"


@pytest.fixture
def closed_folder(command: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that cannot be read, in the folder `inbox` with the file `z.txt`."""
    del command  # it chooses the folder
    folder = Path("inbox/closed")
    folder.mkdir(parents=True)
    Path("inbox/z.txt").write_bytes(CONTENT)
    read = Path.iterdir

    def refused(path: Path) -> Iterator[Path]:
        # The tests run as root, who may read each folder.
        if path.name == "closed":
            raise PermissionError(EACCES, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    return folder


@pytest.mark.parametrize("words", [("put", "-r", "inbox"), ("sync", "inbox", "--once")])
@pytest.mark.usefixtures("closed_folder")
def test_a_folder_that_cannot_be_read_is_reported_and_the_others_are_sent(
    fake_server: FakeServer, command: Command, words: tuple[str, ...]
) -> None:
    def answer(method: str, path: str, body: bytes) -> Answer:
        return (OK, {"files": []}) if path.endswith("/lookup") else takes_each(method, path, body)

    fake_server.answer = answer

    run = command(*words)

    assert (run.exit_code, run.stderr.count("Permission denied")) == (Exit.SOME_FAILED, 1)
    assert [body for method, _, body in fake_server.requests if method == "PUT"] == [CONTENT]


@pytest.mark.usefixtures("closed_folder")
def test_a_followed_folder_that_cannot_be_read_is_reported_once_and_the_others_are_followed(
    fake_server: FakeServer, command: Command, between_rounds: list[Callable[[], object]]
) -> None:
    fake_server.answer = takes_each
    between_rounds += [lambda: None] * 3

    run = command("put", "-r", "inbox", "--follow", "-q")

    assert (run.exit_code, run.stdout, run.stderr.count("Permission denied")) == (Exit.INTERRUPTED, "1\n", 1)


def test_skipped_names_are_counted(command: Command) -> None:
    for name in ("photos/a.jpg", "photos/.hidden/b.jpg", "photos/.c.jpg", "photos/.d.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()

    run = command("put", "-r", "photos", "--dry-run", "--glob", "*.jpg")

    assert run.stdout == "photos/a.jpg\n"
    assert run.stderr == "2 names that begin with a dot were skipped\n"


def test_a_name_that_is_not_utf_8_is_printed(command: Command) -> None:
    os.close(os.open(b"\xff.txt", os.O_CREAT | os.O_WRONLY))

    run = command("put", "*.txt", "--dry-run")

    assert (run.exit_code, run.stdout) == (0, "?.txt\n")


def test_a_folder_that_does_not_exist_yet_ends_with_a_slash(fake_server: FakeServer, command: Command) -> None:
    fake_server.answer = stored

    single = command("get", "1", "-o", "new/")
    zipped = command("get", "1", "--zip", "-o", "packed/", "--json")

    assert (single.stdout, Path("new/a.txt").read_bytes()) == ("new/a.txt\n", CONTENT)
    assert json.loads(zipped.stdout) == {"path": "packed/files.zip"}
    assert ZipFile("packed/files.zip").namelist() == ["a.txt"]


def test_an_archive_goes_to_stdout(fake_server: FakeServer, command: Command) -> None:
    fake_server.answer = stored

    run = command("get", "1", "--zip", "-o", "-")

    assert ZipFile(io.BytesIO(run.stdout_bytes)).namelist() == ["a.txt"]
    assert list(Path().iterdir()) == []


def test_an_archive_of_no_ids_is_not_one_of_all_files(fake_server: FakeServer, command: Command) -> None:
    run = command("get", "-", "--zip", stdin="")

    assert (run.exit_code, fake_server.requests) == (Exit.NOT_FOUND, [])


@pytest.mark.parametrize(
    "words",
    [
        ("get", "1", "--zip", "--name", "{id}"),
        ("get", "1", "--zip", "--parallel", "2"),
        ("get", "1", "-o", "-", "--json"),
        ("get", "1", "-o", "-", "--name", "{id}"),
        ("get", "1", "-o", "-", "--force"),
        ("get", "1", "-o", "a.txt", "--name", "{id}"),
        ("get", "1", "--name", "{name.x}"),
        ("get", "--filter", "origin=results"),
        ("get", "--filter", "sort=length"),
        ("put", "-", "--name", "a.txt", "-r"),
        ("put", "-", "--name", "a.txt", "--glob", "*.jpg"),
        ("put", "-", "--name", "a.txt", "--exclude", "*.jpg"),
        ("put", "-", "--name", "a.txt", "--parallel", "2"),
        ("put", "a.txt", "--glob", "*.txt"),
        ("put", "a.txt", "--json", "--quiet"),
        ("ls", "--count", "--limit", "3"),
        ("ls", "--count", "--sort", "name"),
        ("ls", "--count", "-q"),
        ("ls", "--origin", "results"),
        ("ls", "--sort", "length"),
        ("trash", "--empty", "--yes", "-q"),
        ("algorithms", "flip", "-q"),
        ("run", "flip", "1", "--name", "{id}"),
        ("run", "flip", "1", "--force"),
        ("run", "flip", "1", "-o", "out", "--name", "{nam}"),
        ("run", "flip", "1", "-o", "b.txt"),
        ("run", "flip", "1", "--expires", "soon", "--dry-run"),
        ("runs", "save", "7", "--name", "{nam}"),
        ("runs", "save", "7", "-o", "b.txt"),
        ("sync", "here", "--once", "--every", "3"),
        ("sync", "here", "--run", "flip", "--out", "b.txt"),
        ("tasks", "ls", "--status", "failed"),
        ("tasks", "restart", "--all", "finished"),
        ("watch", "--status", "failed"),
        ("keys", "create", "--role", "owner"),
    ],
    ids=" ".join,
)
def test_what_would_have_no_effect_is_refused_before_anything_is_changed(
    fake_server: FakeServer, command: Command, words: tuple[str, ...]
) -> None:
    fake_server.answer = stored
    Path("here").mkdir()
    Path("b.txt").touch()

    run = command(*words, stdin=CONTENT)

    assert (run.exit_code, run.stdout) == (Exit.USAGE, "")
    assert {path for _, path, _ in fake_server.requests} <= {"/api/file-server/lookup"}
    assert sorted(path.name for path in Path().iterdir()) == ["b.txt", "here"]


def test_a_server_that_goes_away_ends_several_downloads(fake_server: FakeServer, command: Command) -> None:
    rows = [file_row(number, sha256=DIGEST) for number in (1, 2, 3)]
    fake_server.answer = lambda _method, path, _body: None if path.endswith("/download") else (OK, {"files": rows})

    run = command("get", "1", "2", "3", "-o", "out/", "--parallel", "1")

    assert run.exit_code == Exit.UNREACHABLE
    assert len(fake_server.paths("/download")) == Retries().attempts


def several(rows: Mapping[int, str]) -> Answering:
    """Return the answers of a server with these files, each of which contains its id."""

    def row(number: int) -> dict[str, object]:
        stem, dot, extension = rows[number].rpartition(".")
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        return file_row(number, name=stem, extension=dot + extension, size=len(str(number)), sha256=digest)

    def answer(_method: str, path: str, body: bytes) -> Answer:
        if path.endswith("/lookup"):
            # As the server, in the order of the ids.
            return OK, {"files": [row(number) for number in sorted(set(json.loads(body)["ids"]) & rows.keys())]}
        number = next(int(part) for part in path.split("/") if part.isdecimal())
        return OK, str(number).encode()

    return answer


def test_many_files_are_looked_up_at_once_and_saved_in_the_order_of_their_ids(
    fake_server: FakeServer, command: Command
) -> None:
    fake_server.answer = several({number: f"{number}.txt" for number in range(1, 31)})
    numbers = [str(number) for number in range(30, 0, -1)]

    run = command("get", *numbers, "-o", "out/")

    assert run.stdout.splitlines() == [f"out/{number}.txt" for number in numbers]
    assert [path for _, path, _ in fake_server.requests if not path.endswith("/download")] == [
        "/api/file-server/lookup"
    ]
    assert len(fake_server.paths("/download")) == 30


def test_several_files_are_downloaded_at_a_time(fake_server: FakeServer, command: Command) -> None:
    lookup = several({1: "1.txt", 2: "2.txt", 3: "3.txt"})
    together = threading.Barrier(3)

    def answer(method: str, path: str, body: bytes) -> Answer | None:
        if path.endswith("/download"):
            # Broken unless three requests wait here at the same time.
            together.wait(20)
        return lookup(method, path, body)

    fake_server.answer = answer

    run = command("get", "1", "2", "3", "-o", "out/", "--parallel", "3")

    assert (run.exit_code, together.broken) == (0, False)


def test_a_missing_file_is_named_before_any_is_downloaded(fake_server: FakeServer, command: Command) -> None:
    fake_server.answer = several({4: "a.txt"})

    run = command("get", "4", "9", "-o", "out/")

    assert (run.exit_code, run.stderr) == (Exit.NOT_FOUND, "pixmill: there is no file 9\n")
    assert fake_server.paths("/download") == []


@pytest.mark.parametrize(("options", "saved"), [((), "a (2).txt"), (("--force",), "a.txt")])
def test_a_file_in_the_folder_is_replaced_only_by_force(
    fake_server: FakeServer, command: Command, options: tuple[str, ...], saved: str
) -> None:
    fake_server.answer = several({4: "a.txt"})
    Path("a.txt").write_bytes(b"mine")

    run = command("get", "4", *options)

    assert (run.exit_code, run.stdout, Path(saved).read_bytes()) == (0, f"{saved}\n", b"4")
    assert Path("a.txt").read_bytes() == (b"4" if options else b"mine")


@pytest.mark.parametrize("options", [(), ("--zip",)], ids=["file", "archive"])
def test_a_file_that_the_user_names_is_replaced_only_by_force(
    fake_server: FakeServer, command: Command, options: tuple[str, ...]
) -> None:
    fake_server.answer = stored
    Path("mine").write_bytes(b"mine")

    refused = command("get", "1", "-o", "mine", *options)
    left = Path("mine").read_bytes()
    forced = command("get", "1", "-o", "mine", *options, "--force")

    assert (refused.exit_code, refused.stderr) == (
        Exit.SOME_FAILED,
        "pixmill: 'mine' exists; add --force to replace it\n",
    )
    assert (left, forced.exit_code, Path("mine").read_bytes() != b"mine") == (b"mine", 0, True)


def test_an_interrupted_download_says_what_the_same_command_does(fake_server: FakeServer, command: Command) -> None:
    lookup = several({1: "1.txt", 2: "2.txt"})

    def answer(method: str, path: str, body: bytes) -> Answer | None:
        if path.endswith("/2/download"):
            os.kill(os.getpid(), signal.SIGINT)
        return lookup(method, path, body)

    fake_server.answer = answer

    run = command("get", "1", "2", "-o", "out/", "--parallel", "1")

    assert run.exit_code == Exit.INTERRUPTED
    assert "of 2 files are saved; the same command downloads the others" in " ".join(run.stderr.split())


def test_no_downloaded_file_replaces_another_one(fake_server: FakeServer, command: Command) -> None:
    fake_server.answer = several({5: "6-a.txt", 4: "a.txt", 6: "A.txt"})

    run = command("get", "5", "4", "6", "-o", "out/")

    saved = {Path(line): Path(line).read_bytes() for line in run.stdout.splitlines()}
    assert (run.exit_code, list(saved.values())) == (0, [b"5", b"4", b"6"])
    assert len({path.name.casefold() for path in saved}) == 3


def test_a_file_whose_id_is_given_twice_is_saved_once(fake_server: FakeServer, command: Command) -> None:
    fake_server.answer = several({4: "a.txt"})

    run = command("get", "4", "4", "-o", "out/")

    assert (run.exit_code, run.stdout) == (0, "out/a.txt\n")
    assert [path.name for path in Path("out").iterdir()] == ["a.txt"]


def test_the_printed_path_is_that_of_the_file_also_if_a_folder_has_its_name(
    fake_server: FakeServer, command: Command
) -> None:
    fake_server.answer = several({4: "a.txt"})
    Path("out/a.txt").mkdir(parents=True)

    run = command("get", "4", "-o", "out/")

    assert (run.exit_code, Path(run.stdout.strip()).read_bytes()) == (0, b"4")


@pytest.mark.parametrize("options", [(), ("--zip",)], ids=["file", "archive"])
def test_a_file_with_the_longest_name_is_saved(
    fake_server: FakeServer, command: Command, options: tuple[str, ...]
) -> None:
    fake_server.answer = stored
    name = "я" * 125 + ".txt"

    run = command("get", "1", "-o", name, *options)

    assert (run.exit_code, run.stdout) == (0, f"{name}\n")
    assert [path.name for path in Path().iterdir()] == [name]


@pytest.fixture
def between_rounds(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """Return what happens between the rounds of a command, in turn; afterwards somebody presses Ctrl-C."""
    planned: list[Callable[[], object]] = []

    def pause(_seconds: float) -> None:
        if not planned:
            raise KeyboardInterrupt
        planned.pop(0)()

    monkeypatch.setattr("time.sleep", pause)
    return planned


def takes_each(_method: str, _path: str, body: bytes) -> Answer:
    """Answer as a server that stores the file in the body."""
    return OK, file_row(1, sha256=hashlib.sha256(body).hexdigest())


def test_folders_are_followed_and_a_file_is_sent_once_it_stops_growing(
    fake_server: FakeServer, command: Command, between_rounds: list[Callable[[], object]]
) -> None:
    fake_server.answer = takes_each
    first, second = Path("inbox/first.txt"), Path("inbox/deep/second.txt")
    second.parent.mkdir(parents=True)
    first.write_bytes(b"first")
    between_rounds += [
        lambda: second.write_bytes(b"sec"),
        lambda: second.write_bytes(b"second"),
        lambda: None,
        lambda: None,
        lambda: first.write_bytes(b"changed"),
        lambda: None,
    ]

    run = command("put", "-r", "inbox", "--follow", "-q")

    assert [body for _, _, body in fake_server.requests] == [b"first", b"second", b"changed"]
    assert (run.exit_code, run.stdout) == (Exit.INTERRUPTED, "1\n1\n1\n")
    assert "3 files are stored; the same command with --skip-existing" in " ".join(run.stderr.split())


def test_a_followed_folder_waits_for_a_server_that_is_away(
    fake_server: FakeServer, command: Command, between_rounds: list[Callable[[], object]]
) -> None:
    Path("inbox").mkdir()
    Path("inbox/a.txt").write_bytes(CONTENT)

    def comes_back() -> None:
        fake_server.answer = takes_each

    fake_server.answer = lambda _method, _path, _body: None
    between_rounds += [lambda: None, lambda: None, comes_back]

    run = command("put", "-r", "inbox", "--follow", "-q")

    assert (run.exit_code, run.stdout) == (Exit.INTERRUPTED, "1\n")
    assert run.stderr.count(f"{fake_server.url} does not answer") == 1


@pytest.mark.parametrize(
    "failing",
    [(INTERNAL_SERVER_ERROR, b"<html>a proxy"), (OK, b"<html>a proxy")],
    ids=["error", "proxy"],
)
@pytest.mark.parametrize("words", [("put", "-r", "inbox", "--follow", "-q", "--skip-existing"), ("sync", "inbox")])
def test_a_followed_folder_goes_on_after_an_error_that_passes(
    fake_server: FakeServer,
    command: Command,
    between_rounds: list[Callable[[], object]],
    failing: Answer,
    words: tuple[str, ...],
) -> None:
    Path("inbox").mkdir()
    Path("inbox/a.txt").write_bytes(CONTENT)

    def passes() -> None:
        fake_server.answer = lambda method, path, body: (
            (OK, {"files": []}) if path.endswith("/lookup") else takes_each(method, path, body)
        )

    fake_server.answer = lambda _method, _path, _body: failing
    between_rounds += [lambda: None, lambda: None, passes, lambda: None]

    run = command(*words)

    assert (run.exit_code, run.stdout.split()[:1]) == (Exit.INTERRUPTED, ["1"])
    assert len(run.stderr.splitlines()) == 2


def test_a_followed_file_that_is_refused_is_sent_again_only_after_a_change(
    fake_server: FakeServer, command: Command, between_rounds: list[Callable[[], object]]
) -> None:
    Path("inbox").mkdir()
    Path("inbox/a.txt").write_bytes(CONTENT)
    fake_server.answer = lambda _method, _path, _body: problem(UNPROCESSABLE_ENTITY, "invalid-fields")
    between_rounds += [lambda: None] * 3

    run = command("put", "-r", "inbox", "--follow")

    assert (len(fake_server.requests), run.stderr.count("a.txt: invalid-fields.")) == (1, 1)


@pytest.mark.parametrize(
    "failing",
    [
        with_request_ids(problem(INSUFFICIENT_STORAGE, "storage-full")),
        with_request_ids(problem(CONFLICT, "conflict")),
        with_request_ids(problem(LOCKED, "locked")),
        with_request_ids((OK, file_row(1, sha256=DIGEST[::-1]))),
    ],
    ids=["full", "conflict", "locked", "damaged"],
)
def test_a_followed_file_is_sent_again_after_a_failure_that_may_pass(
    fake_server: FakeServer, command: Command, between_rounds: list[Callable[[], object]], failing: Answering
) -> None:
    Path("inbox").mkdir()
    Path("inbox/a.txt").write_bytes(CONTENT)

    def passes() -> None:
        fake_server.answer = takes_each

    fake_server.answer = failing
    between_rounds += [lambda: None, lambda: None, passes, lambda: None]

    run = command("put", "-r", "inbox", "--follow", "-q")

    assert [body for _, _, body in fake_server.requests] == [CONTENT] * 3
    assert (run.exit_code, run.stdout) == (Exit.INTERRUPTED, "1\n")
    assert run.stderr.count("a.txt: ") == 1


def test_a_followed_folder_without_room_is_sent_less_and_less_often(
    fake_server: FakeServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("inbox").mkdir()
    Path("inbox/a.txt").write_bytes(CONTENT)
    waits: list[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 5:
            raise KeyboardInterrupt

    fake_server.answer = lambda _method, _path, _body: problem(INSUFFICIENT_STORAGE, "quota-exceeded")
    monkeypatch.setattr("time.sleep", pause)
    monkeypatch.setattr("random.uniform", lambda _least, _most: 1.0)

    command("put", "-r", "inbox", "--follow")

    # In the first round, the file may still grow.
    assert (waits, len(fake_server.requests)) == ([2, 2, 4, 8, 16], 4)


def test_a_followed_file_that_another_program_holds_is_sent_later(
    fake_server: FakeServer,
    command: Command,
    between_rounds: list[Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("inbox").mkdir()
    Path("inbox/a.txt").write_bytes(CONTENT)
    fake_server.answer = takes_each
    opened = Path.open

    def held(path: Path, *options: Any, **named: Any) -> object:
        # On Windows; the tests run as root, who may read each file.
        if path.name == "a.txt":
            raise PermissionError(EACCES, "Permission denied", str(path))
        return opened(path, *options, **named)

    monkeypatch.setattr(Path, "open", held)
    between_rounds += [lambda: None, lambda: None, lambda: monkeypatch.setattr(Path, "open", opened)]

    run = command("put", "-r", "inbox", "--follow", "-q")

    assert (run.exit_code, run.stdout, run.stderr.count("Permission denied")) == (Exit.INTERRUPTED, "1\n", 1)


def test_a_followed_file_that_is_refused_after_a_change_too_is_reported_again(
    fake_server: FakeServer, command: Command, between_rounds: list[Callable[[], object]]
) -> None:
    path = Path("inbox/a.txt")
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    fake_server.answer = lambda _method, _path, _body: problem(UNPROCESSABLE_ENTITY, "invalid-fields")
    between_rounds += [lambda: None, lambda: path.write_bytes(b"changed"), lambda: None, lambda: None]

    run = command("put", "-r", "inbox", "--follow")

    assert (len(fake_server.requests), run.stderr.count("a.txt: invalid-fields.")) == (2, 2)


@pytest.mark.parametrize("status", [SERVICE_UNAVAILABLE, TOO_MANY_REQUESTS])
def test_a_followed_folder_reports_once_that_the_server_is_not_available(
    fake_server: FakeServer, command: Command, between_rounds: list[Callable[[], object]], status: int
) -> None:
    Path("inbox").mkdir()
    Path("inbox/a.txt").write_bytes(CONTENT)
    fake_server.answer = with_request_ids(problem(status, "unavailable"))
    between_rounds += [lambda: None] * 3

    run = command("put", "-r", "inbox", "--follow", "-q")

    assert (run.exit_code, run.stderr.count("unavailable.")) == (Exit.INTERRUPTED, 1)


@pytest.mark.parametrize("words", [("a.txt",), ("-r", "inbox", "--name", "b.txt"), ("-r", "inbox", "a.txt"), ("-",)])
def test_only_folders_are_followed(fake_server: FakeServer, command: Command, words: tuple[str, ...]) -> None:
    Path("inbox").mkdir()
    Path("a.txt").touch()

    run = command("put", *words, "--follow")

    assert (run.exit_code, fake_server.requests) == (Exit.USAGE, [])
    assert "--follow is for folders" in run.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("1", "--zip", "-o", "taken/"),
        ("1", "--zip", "-o", "taken/all.zip"),
        ("1", "-o", "taken/"),
        ("1", "-o", "taken/a.txt"),
        ("1", "-o", "taken/inner/"),
        ("1", "2", "-o", "taken"),
    ],
    ids=" ".join,
)
def test_a_file_instead_of_the_folder_is_found_before_any_request(
    fake_server: FakeServer, command: Command, words: tuple[str, ...]
) -> None:
    Path("taken").touch()

    run = command("get", *words)

    assert (run.exit_code, run.stderr) == (Exit.USAGE, "pixmill: 'taken' is a file; give a folder\n")
    assert fake_server.requests == []


def test_several_files_that_match_do_not_go_into_a_file(fake_server: FakeServer, command: Command) -> None:
    fake_server.answer = lambda _method, _path, _body: (OK, [file_row(1), file_row(2)])
    Path("taken").touch()

    run = command("get", "--filter", "folder=a", "-o", "taken")

    assert (run.exit_code, run.stderr) == (Exit.USAGE, "pixmill: 'taken' is a file; give a folder\n")


@pytest.mark.parametrize("words", [("a.txt",), ("-", "--name", "a.txt")], ids=["file", "stdin"])
def test_a_dry_run_needs_no_server(command: Command, words: tuple[str, ...]) -> None:
    Path("a.txt").write_bytes(CONTENT)

    run = command("put", *words, "--dry-run", "--profile", "missing", stdin=CONTENT)

    assert (run.exit_code, run.stdout) == (0, "a.txt\n")
