"""What a command says about a run without some of its results."""

import hashlib
import os
import signal
from collections.abc import Callable, Sequence
from http.client import OK
from pathlib import Path

import pytest
from pixmill.commands.console import Exit
from typer.testing import Result

from tests.support.answering import Answer, Answering, FakeServer, file_row

CONTENT = b"result"
DELETED = {"id": 2, "source_id": 4, "result_id": 6, "status": "finished", "algorithm": "flip"}
FAILED = {"id": 3, "source_id": 7, "status": "error", "algorithm": "flip", "error": "no image"}


def run_with(*lost: dict[str, object]) -> Answering:
    """Return the answers of a server with a run of one task with a result, and others whose results do not exist."""
    row = file_row(5, size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    tasks = [{"id": 1, "source_id": 3, "result_id": 5, "status": "finished", "algorithm": "flip"}, *lost]
    errors = [{"cause": "no image", "tasks": 1, "task_id": 3, "error": "no image"}] if FAILED in lost else []
    batch = {"id": 7, "status": "ended", "algorithm": "flip", "tasks": len(tasks), "errors": errors}

    def answer(_method: str, path: str, _body: bytes) -> Answer:
        if path.endswith("/download"):
            return OK, CONTENT
        if path.endswith("/lookup"):
            return OK, {"files": [row]}
        return OK, batch if path.endswith("/batches/7") else tasks

    return answer


def test_the_printed_path_is_that_of_the_result_also_if_a_folder_has_its_name(
    fake_server: FakeServer, command: Callable[..., Result]
) -> None:
    fake_server.answer = run_with()
    Path("out/a.txt").mkdir(parents=True)

    run = command("runs", "save", "7", "-o", "out")

    assert (run.exit_code, Path(run.stdout.strip()).read_bytes()) == (0, CONTENT)


@pytest.mark.parametrize(
    ("lost", "code"),
    [([], Exit.OK), ([DELETED], Exit.SOME_FAILED), ([DELETED, FAILED], Exit.TASKS_FAILED)],
    ids=["none", "deleted", "deleted and failed"],
)
def test_a_run_whose_results_are_not_all_saved_does_not_succeed(
    fake_server: FakeServer, command: Callable[..., Result], lost: Sequence[dict[str, object]], code: Exit
) -> None:
    fake_server.answer = run_with(*lost)

    run = command("runs", "save", "7", "-o", "out")

    assert (run.exit_code, run.stdout, Path("out/a.txt").read_bytes()) == (code, "out/a.txt\n", CONTENT)
    assert ("1 result was deleted" in run.stderr, "no image" in run.stderr) == (DELETED in lost, FAILED in lost)


def test_a_result_replaces_a_file_only_by_force(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    fake_server.answer = run_with()
    Path("a.txt").write_bytes(b"mine")

    first = command("runs", "save", "7")
    left = Path("a.txt").read_bytes()
    again = command("runs", "save", "7")
    forced = command("runs", "save", "7", "--force")

    assert (first.stdout, again.stdout, forced.stdout) == ("a (2).txt\n", "a (2).txt\n", "a.txt\n")
    assert (left, Path("a.txt").read_bytes(), Path("a (2).txt").read_bytes()) == (b"mine", CONTENT, CONTENT)


@pytest.mark.parametrize(
    "words",
    [("runs", "watch", "7"), ("runs", "save", "7"), ("run", "flip", "3", "--wait"), ("run", "flip", "3", "-o", "o")],
)
def test_an_interrupt_while_the_tasks_run_says_how_to_follow_and_to_end_them(
    fake_server: FakeServer, command: Callable[..., Result], words: tuple[str, ...]
) -> None:
    polls = 0

    def answer(method: str, path: str, _body: bytes) -> Answer:
        nonlocal polls
        if method == "POST":
            return OK, {"batch_id": 7, "task_ids": [1]}
        if not path.endswith("/batches/7"):
            return OK, []
        polls += 1
        if polls == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return OK, {"id": 7, "status": "running", "algorithm": "flip", "tasks": 1}

    fake_server.answer = answer

    run = command(*words)

    said = "The tasks go on. Follow them: pixmill runs watch 7\nOr end them: pixmill runs cancel 7\n"
    assert (run.exit_code, said in run.stderr) == (Exit.INTERRUPTED, True)


def test_an_interrupt_while_results_are_saved_says_how_to_save_them_again(
    fake_server: FakeServer, command: Callable[..., Result]
) -> None:
    results = run_with()

    def answer(method: str, path: str, body: bytes) -> Answer | None:
        if path.endswith("/download"):
            os.kill(os.getpid(), signal.SIGINT)
        return results(method, path, body)

    fake_server.answer = answer

    run = command("runs", "save", "7", "-o", "out")

    said = "pixmill: interrupted. Save the results again: pixmill runs save 7\n"
    assert (run.exit_code, said in run.stderr) == (Exit.INTERRUPTED, True)
