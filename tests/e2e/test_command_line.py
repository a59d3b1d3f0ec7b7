"""The command line against a running Pixmill: outputs and exit codes."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from zipfile import ZipFile

import pytest

from tests.support.client import Served
from tests.support.commands import run_command
from tests.support.environment import ENVIRONMENT, SCRIPTS
from tests.support.images import opened, photo
from tests.support.processes import free_port
from tests.support.stacks import Stack
from tests.support.waiting import STATE_SECONDS, wait_until

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(stack: Stack, tmp_path: Path) -> dict[str, str]:
    folders = {f"XDG_{kind}_HOME": str(tmp_path / f".{kind}") for kind in ("CONFIG", "STATE", "CACHE")}
    return ENVIRONMENT | folders | {"PIXMILL_URL": stack.url}


@pytest.fixture
def pixmill_command(environment: dict[str, str], tmp_path: Path) -> Run:
    """Return a function that runs a command without the program's start time."""

    def run(*words: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        return run_command(words, environment | variables, tmp_path, stdin)

    return run


@pytest.fixture
def pixmill_program(environment: dict[str, str], tmp_path: Path) -> Run:
    """Return a function that starts the program."""

    def run(*words: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(SCRIPTS / "pixmill"), *words],
            env=environment | variables,
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_ids_go_from_one_command_to_the_next(pixmill_program: Run, tmp_path: Path) -> None:
    mark = os.urandom(6).hex()
    for number in range(3):
        (tmp_path / f"{mark}-{number}.png").write_bytes(photo(60, 40))

    put = pixmill_program("put", f"{mark}-*.png")
    listed = pixmill_program("ls", mark, "-q")
    run = pixmill_program("run", "resize width=30", "-", "-o", "out", stdin=listed.stdout)

    assert (put.returncode, run.returncode, put.stderr, run.stderr) == (0, 0, "", "")
    assert len(listed.stdout.split()) == 3
    assert {opened(path.read_bytes()).size for path in (tmp_path / "out").iterdir()} == {(30, 20)}
    assert sorted(run.stdout.split()) == sorted(f"out/{mark}-{number}.png" for number in range(3))


def test_json_has_a_line_for_each_file_as_the_api_shows_it(pixmill_command: Run, stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(os.urandom(6).hex())

    [line] = pixmill_command("put", "a.txt", "--json").stdout.splitlines()

    file = json.loads(line)
    with Served(stack.url) as api:
        assert file == api.http.get(f"/api/file-server/{file['id']}").json()


def test_files_that_match_are_fetched_into_a_folder_or_an_archive(pixmill_command: Run, tmp_path: Path) -> None:
    folder = os.urandom(6).hex()
    for name in ("a.txt", "b.txt", "c.csv"):
        assert pixmill_command("put", "-", "--name", name, "--folder", folder, stdin=name).returncode == 0

    fetched = pixmill_command("get", "--filter", f"folder={folder}", "--filter", "extension=.txt", "-o", "out/")
    zipped = pixmill_command("get", "--filter", f"folder={folder}", "--zip", "-o", "all.zip")

    assert (fetched.stdout.split(), zipped.stdout.split()) == (["out/a.txt", "out/b.txt"], ["all.zip"])
    assert len(ZipFile(tmp_path / "all.zip").namelist()) == 3


def test_bytes_go_through_stdin_and_stdout(pixmill_program: Run) -> None:
    put = pixmill_program("put", "-", "--name", "pipe.txt", "-q", stdin="through a pipe")
    got = pixmill_program("get", put.stdout.strip(), "-o", "-")

    assert got.stdout == "through a pipe"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["put", "a.png", "--json=id"], id="put"),
        pytest.param(["run", "flip", "a.png", "-o", "out"], id="run"),
        pytest.param(["run", "flip", "a.png", "-o", "-"], id="run to stdout"),
        pytest.param(["sync", "hot", "--run", "flip", "-o", "results", "--once"], id="sync"),
    ],
)
def test_data_go_to_stdout_although_a_bar_is_on_the_terminal(
    environment: dict[str, str], tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "hot").mkdir()
    for path in ("a.png", "hot/a.png"):
        (tmp_path / path).write_bytes(photo(60, 40))

    code, stdout, terminal = run_at_a_terminal(words, environment, tmp_path)

    assert (code, b"\x1b[" in terminal) == (0, True)
    assert stdout != b""


def test_a_result_goes_to_stdout(pixmill_program: Run, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(photo(60, 40))
    (tmp_path / "b.png").write_bytes(photo(60, 50))

    code, stdout, _ = run_at_a_terminal(["run", "resize width=30", "a.png", "-o", "-"], environment, tmp_path)
    two = pixmill_program("run", "resize width=30", "a.png", "b.png", "-o", "-")

    assert (code, opened(stdout).size) == (0, (30, 20))
    assert (two.returncode, two.stdout, two.stderr) == (2, "", "pixmill: stdout takes one file\n")
    assert not (tmp_path / "-").exists()


def run_at_a_terminal(words: list[str], environment: dict[str, str], folder: Path) -> tuple[int, bytes, bytes]:
    """Run the program with stderr on a terminal; return its exit code, its stdout, and what the terminal got."""
    terminal, stderr = os.openpty()
    shown = bytearray()

    def read() -> None:
        # Linux reports the end of a terminal as an error.
        with suppress(OSError):
            while part := os.read(terminal, 65_536):
                shown.extend(part)

    command = [str(SCRIPTS / "pixmill"), *words]
    reader = Thread(target=read)
    with subprocess.Popen(
        command,
        env=environment | {"TERM": "xterm"},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
    ) as program:
        os.close(stderr)
        reader.start()
        stdout, _ = program.communicate(timeout=120)
    reader.join()
    os.close(terminal)
    return program.returncode, stdout, bytes(shown)


def test_a_dry_run_changes_nothing(pixmill_command: Run, tmp_path: Path) -> None:
    (tmp_path / "dry.txt").write_text(os.urandom(6).hex())
    file = pixmill_command("put", "dry.txt", "-q").stdout.strip()

    put = pixmill_command("put", "dry.txt", "--dry-run", PIXMILL_URL=f"http://127.0.0.1:{free_port()}")
    removed = pixmill_command("rm", file, "--dry-run")

    assert put.stdout.splitlines() == ["dry.txt"]
    assert removed.stdout.split()[0] == file
    assert pixmill_command("show", file).returncode == 0


def test_nothing_is_deleted_where_nobody_can_be_asked(pixmill_command: Run) -> None:
    file = pixmill_command("put", "-", "--name", "kept.txt", "-q", stdin="x").stdout.strip()

    refused = pixmill_command("rm", file)
    kept = pixmill_command("show", file)
    removed = pixmill_command("rm", file, "--yes")

    assert (refused.returncode, kept.returncode, removed.returncode) == (2, 0, 0)
    assert "--yes" in refused.stderr
    assert pixmill_command("show", file).returncode == 3


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["show", "9999999999"], 3, "no file 9999999999"),
        (["get", "word"], 2, "'word' is not an id"),
        (["get", "7", "--filter", "folder=a"], 2, "either ids or --filter"),
        (["get", "--filter", "color=red"], 2, "'color=red' is not a filter"),
        (["get", "--filter", "folder=no such folder"], 3, "no file matches"),
        (["put", "nowhere.jpg"], 3, "nowhere.jpg"),
        (["run", "resize width=-1", "9999999999"], 2, "width"),
        (["algorithms", "nothing"], 3, "no algorithm"),
        (["ls", "--since", "yesterday"], 2, "7d"),
    ],
)
def test_the_exit_code_says_what_failed(pixmill_command: Run, words: list[str], code: int, says: str) -> None:
    run = pixmill_command(*words)

    assert (run.returncode, run.stdout) == (code, "")
    assert says in run.stderr
    assert "Traceback" not in run.stderr


def test_a_server_that_is_away_has_its_own_exit_code(pixmill_command: Run) -> None:
    run = pixmill_command("ls", PIXMILL_URL=f"http://127.0.0.1:{free_port()}")

    assert run.returncode == 5
    assert "pixmill serve" in run.stderr


def test_a_wrong_key_has_its_own_exit_code(pixmill_command: Run) -> None:
    assert pixmill_command("ls", PIXMILL_KEY="pxm_000000000000_wrong").returncode == 4


def test_a_removed_file_comes_back_from_the_trash_unless_it_was_removed_by_force(pixmill_command: Run) -> None:
    kept, gone = (pixmill_command("put", "-", "--name", "a.txt", "-q", stdin="x").stdout.strip() for _ in range(2))

    removed = pixmill_command("rm", kept, "--yes")
    forced = pixmill_command("rm", gone, "--yes", "--force")
    restored = pixmill_command("restore", kept, gone)

    assert (removed.returncode, forced.returncode, restored.returncode) == (0, 0, 3)
    assert f"pixmill restore {kept}" in removed.stderr
    assert restored.stdout.split() == [kept]
    assert gone in restored.stderr


def test_a_run_is_followed_and_its_results_are_saved_later(pixmill_command: Run, tmp_path: Path) -> None:
    (tmp_path / "later.png").write_bytes(photo(60, 40))
    begun = pixmill_command("run", "resize width=30", "later.png", "--json", "--no-cache")
    run = str(json.loads(begun.stdout)["batch_id"])

    watched = pixmill_command("runs", "watch", run)
    saved = pixmill_command("runs", "save", run, "-o", "later")
    shown = json.loads(pixmill_command("runs", "show", run, "--json").stdout)

    assert (watched.returncode, watched.stdout.split()[-1]) == (0, "ended")
    assert saved.stdout.split() == ["later/later.png"]
    assert shown["counts"]["finished"] == 1


def test_a_hot_folder_goes_on_after_a_kill_and_does_nothing_twice(
    pixmill_command: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    mark = os.urandom(6).hex()
    (tmp_path / "in/deep").mkdir(parents=True)
    for number in range(12):
        (tmp_path / f"in/deep/{number}.png").write_bytes(photo(60, 40 + number))
    words = ["sync", "in", "--folder", mark, "--run", "resize width=30", "--out", "in/out"]
    command = [str(SCRIPTS / "pixmill"), *words, "--every", "0.1"]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as sync:
        try:
            assert sync.stdout is not None
            sync.stdout.readline()
        finally:
            sync.kill()

    resumed = pixmill_command(*words, "--once")
    again = pixmill_command(*words, "--once")

    assert (resumed.returncode, again.returncode, again.stdout) == (0, 0, "")
    assert {path.name for path in (tmp_path / "in/out/deep").iterdir()} >= {f"{number}.png" for number in range(12)}
    assert pixmill_command("ls", "--folder", mark, "--count").stdout.strip() == "12"


def test_two_images_are_compared_and_nothing_stays(pixmill_command: Run, tmp_path: Path) -> None:
    mark = os.urandom(6).hex()
    (tmp_path / f"{mark}.png").write_bytes(photo(60, 40))
    file = pixmill_command("put", f"{mark}.png", "-q").stdout.strip()
    pixmill_command("run", "blur radius=2", file, "-o", "blurred")

    compared = pixmill_command("diff", file, f"blurred/{mark}.png", "--json")

    report = json.loads(compared.stdout)
    assert (report["same_bytes"], report["equal"]) == (False, False)
    assert 0 < report["ssim"] < 1
    # The file itself and its blurred copy match.
    assert pixmill_command("ls", mark, "--count").stdout.strip() == "2"
    assert pixmill_command("tasks", "ls", "--source", file).stdout.count("compare") == 0


def test_tasks_in_error_have_their_own_exit_code_and_each_reason_once(pixmill_command: Run) -> None:
    files = [pixmill_command("put", "-", "--name", "a.jpg", "-q", stdin=f"no image {n}").stdout.strip() for n in "12"]

    run = pixmill_command("run", "flip", *files, "--wait")

    assert (run.returncode, run.stdout) == (6, "")
    assert run.stderr.count("not an image") == 1


def test_info_of_a_damaged_image_ends_as_a_task_on_it_would(pixmill_command: Run) -> None:
    file = pixmill_command("put", "-", "--name", "a.jpg", "-q", stdin="no image").stdout.strip()

    info = pixmill_command("info", file)

    assert (info.returncode, info.stdout) == (6, "")
    assert "not an image" in info.stderr


def test_a_russian_terminal_reads_why_a_task_failed_in_russian(pixmill_program: Run) -> None:
    file = pixmill_program("put", "-", "--name", "a.jpg", "-q", stdin="no image at all").stdout.strip()

    run = pixmill_program("run", "flip", file, "--wait", LC_ALL="ru_RU.UTF-8", PYTHONIOENCODING="utf-8")

    assert run.returncode == 6
    assert run.stderr.startswith("1 задача без результата")
    assert "Файл — не изображение" in run.stderr


def test_an_interrupt_leaves_the_tasks_and_says_how_to_go_on(environment: dict[str, str], tmp_path: Path) -> None:
    # Programs that a shell starts in the background, and their children, ignore the signal of Ctrl-C.
    command = ["env", "--default-signal=INT", str(SCRIPTS / "pixmill"), "watch"]
    (tmp_path / "a.png").write_bytes(photo())
    run = [str(SCRIPTS / "pixmill"), "run", "flip", str(tmp_path / "a.png"), "--no-cache"]
    events, words = tmp_path / "events", tmp_path / "words"

    def an_event_of_a_new_task() -> bool:
        # The stream may start after the events of this task; then the next call creates another.
        subprocess.run(run, env=environment, check=True, capture_output=True)
        return events.stat().st_size > 0

    with (
        events.open("w") as stdout,
        words.open("w") as stderr,
        subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr) as watch,
    ):
        try:
            wait_until(an_event_of_a_new_task, "the stream shows a task")
            watch.send_signal(signal.SIGINT)
            watch.wait(STATE_SECONDS)
        finally:
            watch.kill()

    assert watch.returncode == 130
    assert "The tasks go on." in words.read_text()


def test_keys_are_made_and_revoked_through_the_api(pixmill_command: Run) -> None:
    made = pixmill_command("keys", "create", "--owner", f"cli-{os.urandom(4).hex()}", "--role", "reader", "--json")
    key = json.loads(made.stdout)

    reader = pixmill_command("status", "--json", PIXMILL_KEY=key["secret"])
    refused = pixmill_command("put", "-", "--name", "a.txt", stdin="x", PIXMILL_KEY=key["secret"])
    revoked = pixmill_command("keys", "revoke", key["id"], "--json")

    assert json.loads(reader.stdout)["session"]["key_id"] == key["id"]
    assert refused.returncode == 4
    assert json.loads(revoked.stdout)["revoked_at"]


def test_a_profile_is_used_until_another_is(pixmill_command: Run, stack: Stack) -> None:
    added = pixmill_command("profile", "add", "here", stack.url, "--no-key", PIXMILL_URL="")

    status = pixmill_command("status", "--json", PIXMILL_URL="")

    assert added.returncode == 0
    assert json.loads(status.stdout)["url"] == stack.url


def test_any_request_can_be_sent_and_a_list_has_all_its_pages(pixmill_command: Run) -> None:
    mark = os.urandom(6).hex()
    for number in "123":
        pixmill_command("put", "-", "--name", f"{mark}-{number}.txt", stdin="x")

    run = pixmill_command("api", "GET", "/api/file-server/", "-f", f"name={mark}", "-f", "limit=2", "--paginate")

    assert [len(json.loads(page)) for page in run.stdout.splitlines() if page] == [2, 1]


def test_a_shell_completes_the_params_of_an_algorithm(pixmill_program: Run) -> None:
    run = pixmill_program(_PIXMILL_COMPLETE="complete_bash", COMP_WORDS="pixmill run 'resize fit=in", COMP_CWORD="2")

    assert run.stdout.strip() == "resize fit=inside"


def test_the_doctor_finds_nothing_wrong(pixmill_command: Run) -> None:
    run = pixmill_command("doctor")

    assert run.returncode == 0
    assert {line.partition("\t")[0] for line in run.stdout.splitlines()} == {"ok"}
