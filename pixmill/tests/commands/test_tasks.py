"""Following and forgetting tasks."""

import io
import json
import re
import sys
from collections.abc import Callable
from http.client import NOT_FOUND, OK

import pytest
from pixmill.cli import app
from pixmill.commands.console import Exit, err
from typer.testing import Result

from tests.support.answering import Answer, FakeServer, problem


def test_no_ids_on_stdin_are_not_all_tasks(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    run = command("watch", "-", stdin="")

    assert (run.exit_code, fake_server.requests) == (0, [])


def test_removed_objects_are_printed_as_json(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    fake_server.answer = lambda _method, _path, _body: (204, b"")

    printed = [
        command(*words, "--json").stdout
        for words in (("tasks", "forget", "7"), ("links", "revoke", "3"), ("presets", "rm", "web"))
    ]

    assert printed == ['{"id": 7}\n', '{"id": 3}\n', '{"name": "web"}\n']


def run_of_two(method: str, path: str, _body: bytes) -> Answer:
    """Answer as a server with a finished run of two tasks, one of which failed."""
    tasks = [
        {"id": 9, "source_id": 1, "result_id": 3, "status": "finished", "algorithm": "flip", "error": None},
        {"id": 10, "source_id": 2, "result_id": None, "status": "error", "algorithm": "flip", "error": "damaged"},
    ]
    if path.endswith("/events"):
        return OK, b": hello\n\n", {"Content-Type": "text/event-stream"}
    if path.endswith("/batches/7"):
        return OK, {"id": 7, "status": "ended", "algorithm": "flip", "tasks": 2}
    if method == "GET" and path.endswith("/image-processing/"):
        return OK, tasks
    return problem(NOT_FOUND, "unexpected")


def test_a_run_is_watched_until_its_tasks_have_ended(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    fake_server.answer = run_of_two

    run = command("watch", "--run", "7")

    assert (run.exit_code, run.stdout) == (Exit.TASKS_FAILED, "9\tfinished\t3\n10\terror\t-\tdamaged\n")


def test_a_watched_run_has_no_other_tasks(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    run = command("watch", "9", "--run", "7")

    assert (run.exit_code, fake_server.requests) == (Exit.USAGE, [])
    assert "give ids of tasks, or --run" in run.stderr


@pytest.mark.parametrize(
    ("option", "printed"),
    [
        ("--json=error,id", [{"error": None, "id": 9}, {"error": "damaged", "id": 10}]),
        ("--json=status", [{"status": "finished"}, {"status": "error"}]),
    ],
)
def test_the_fields_of_an_event_are_chosen(
    fake_server: FakeServer, command: Callable[..., Result], option: str, printed: list[dict[str, object]]
) -> None:
    fake_server.answer = run_of_two

    run = command("watch", "--run", "7", option)

    assert [json.loads(line) for line in run.stdout.splitlines()] == printed


def changes_of_two(_method: str, path: str, _body: bytes) -> Answer:
    """Answer as a server that processes two tasks while they are watched."""
    if not path.endswith("/events"):
        return OK, [{"id": number, "source_id": 1, "status": "pending", "algorithm": "flip"} for number in (9, 10)]
    changes = [(9, "processing", None), (10, "finished", 3), (9, "finished", 2)]
    documents = [
        {"id": number, "status": status, "result_id": result, "batch_id": 7} for number, status, result in changes
    ]
    events = "".join(f"event: task\ndata: {json.dumps(document)}\n\n" for document in documents)
    return OK, f": hello\n\n{events}".encode(), {"Content-Type": "text/event-stream"}


def test_without_a_terminal_each_change_is_a_line(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    fake_server.answer = changes_of_two

    run = command("watch", "9", "10")

    assert (run.exit_code, run.stdout) == (0, "9\tprocessing\t-\n10\tfinished\t3\n9\tfinished\t2\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watched_on_terminal(monkeypatch: pytest.MonkeyPatch, kind: str) -> str:
    """Return what ``watch`` prints on a terminal of this kind."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", kind)
    # The console found out when the module was imported, on another terminal or without one.
    monkeypatch.setattr(err, "is_interactive", kind != "dumb")
    for output in ("stdout", "stderr"):
        monkeypatch.setattr(sys, output, terminal)
    app(["watch", "9", "10"], standalone_mode=False)
    return terminal.getvalue()


@pytest.mark.usefixtures("command")
def test_on_a_terminal_a_table_of_what_runs_is_below_the_tasks_that_have_ended(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server.answer = changes_of_two

    printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", watched_on_terminal(monkeypatch, "xterm"))

    rows = [line.split() for line in printed.splitlines()]
    ended, heading, running = (["10", "finished", "3"], ["id", "status", "run"], ["9", "processing", "7"])
    begin = rows.index(ended)
    assert rows[begin : begin + 3] == [ended, heading, running]
    assert ["9", "finished", "2"] in rows
    assert ["9", "processing", "-"] not in rows


@pytest.mark.usefixtures("command")
def test_on_a_terminal_that_cannot_replace_lines_each_change_is_a_line(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server.answer = changes_of_two

    printed = watched_on_terminal(monkeypatch, "dumb")

    assert printed == "9\tprocessing\t-\n10\tfinished\t3\n9\tfinished\t2\n"
