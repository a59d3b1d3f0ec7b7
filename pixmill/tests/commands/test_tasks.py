"""Following and forgetting tasks."""

import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from http.client import FORBIDDEN, NOT_FOUND, OK

import pytest
from pixmill.cli import app
from pixmill.client.paging import PAGE
from pixmill.commands.console import Exit, err
from pixmill.commands.progress import MAX_ROWS
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


@pytest.mark.parametrize("words", [["watch"], ["watch", "9"]], ids=["all tasks", "one task"])
def test_a_server_that_answers_a_page_is_not_watched(
    fake_server: FakeServer, command: Callable[..., Result], words: Sequence[str]
) -> None:
    fake_server.answer = lambda _method, _path, _body: (OK, b"<html>\n" * 3, {"Content-Type": "text/html"})

    run = command(*words)

    assert (run.exit_code, run.stdout) == (Exit.SOME_FAILED, "")
    assert run.stderr == "pixmill: the answer is not events but 'text/html'; is this a Pixmill?\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watched_on_terminal(monkeypatch: pytest.MonkeyPatch, kind: str, words: Sequence[str] = ("9", "10")) -> str:
    """Return what ``watch`` prints on a terminal of this kind."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", kind)
    # The console found out when the module was imported, on another terminal or without one.
    monkeypatch.setattr(err, "is_interactive", kind != "dumb")
    for output in ("stdout", "stderr"):
        monkeypatch.setattr(sys, output, terminal)
    app(["watch", *words], standalone_mode=False)
    return terminal.getvalue()


def rows_on_terminal(monkeypatch: pytest.MonkeyPatch, words: Sequence[str] = ("9", "10")) -> list[list[str]]:
    """Return the words of each line that ``watch`` prints on a terminal, also of those that it replaces."""
    printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", watched_on_terminal(monkeypatch, "xterm", words))
    return [line.split() for line in printed.splitlines()]


@pytest.mark.usefixtures("command")
def test_on_a_terminal_a_table_of_what_runs_is_below_the_tasks_that_have_ended(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server.answer = changes_of_two

    rows = rows_on_terminal(monkeypatch)

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


class Busy:
    """Answers as a server with tasks that began before they are watched, and of which one ends meanwhile.

    :param running: their number.
    """

    def __init__(self, running: int) -> None:
        self._running = running
        self._streams = 0

    def __call__(self, _method: str, path: str, _body: bytes) -> Answer:
        if path.endswith("/stats"):
            return OK, {"version": "1", "tasks": {"processing": 1, "pending": self._running - 1, "finished": 50}}
        if path.endswith("/batches/7"):
            counts = {"processing": 1, "pending": self._running - 1, "finished": 50}
            return OK, {"id": 7, "status": "running", "algorithm": "flip", "tasks": self._running, "counts": counts}
        if not path.endswith("/events"):
            return OK, [self._task(number) for number in range(9, 9 + min(self._running, PAGE))]
        self._streams += 1
        if self._streams > 1:
            return problem(FORBIDDEN, "forbidden")
        document = {"id": 10, "status": "finished", "result_id": 3, "batch_id": 7}
        stream = f": hello\n\nevent: task\ndata: {json.dumps(document)}\n\n"
        return OK, stream.encode(), {"Content-Type": "text/event-stream"}

    def _task(self, number: int) -> dict[str, object]:
        status = "processing" if number == 9 else "pending"
        return {"id": number, "source_id": 1, "status": status, "algorithm": "flip", "batch_id": 7}


@pytest.mark.usefixtures("command")
@pytest.mark.parametrize(
    ("words", "filters"),
    [
        ((), {"status=processing&sort=id&limit=1000", "status=pending&sort=id&limit=1000"}),
        (
            ("--run", "7"),
            {"batch_id=7&status=processing&sort=id&limit=1000", "batch_id=7&status=pending&sort=id&limit=1000"},
        ),
        (("9", "10", "11"), {"id=9&id=10&id=11"}),
    ],
)
def test_the_table_has_the_tasks_that_began_before_it(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch, words: Sequence[str], filters: set[str]
) -> None:
    fake_server.answer = Busy(3)

    rows = rows_on_terminal(monkeypatch, words)

    begin = rows.index(["10", "finished", "3"])
    assert rows[begin + 1 : begin + 4] == [["id", "status", "run"], ["9", "processing", "7"], ["11", "pending", "7"]]
    assert filters <= set(fake_server.queries)


@pytest.mark.usefixtures("command")
def test_the_tasks_are_listed_once_the_stream_is_open(fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_server.answer = Busy(3)

    watched_on_terminal(monkeypatch, "xterm", ())

    # A task that is listed before the stream is open may end before it, without an event.
    asked = [path.rpartition("/image-processing/")[2] for _, path, _ in fake_server.requests]
    assert asked == ["events", "", "", "events"]


@pytest.mark.usefixtures("command")
@pytest.mark.parametrize("words", [(), ("--run", "7")])
def test_of_many_tasks_one_page_is_read_and_the_others_are_counted(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch, words: Sequence[str]
) -> None:
    fake_server.answer = Busy(5000)
    monkeypatch.setenv("LINES", "50")

    rows = rows_on_terminal(monkeypatch, words)

    assert ["and", str(5000 - 1 - MAX_ROWS), "more"] in rows
