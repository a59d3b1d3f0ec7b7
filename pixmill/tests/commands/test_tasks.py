"""Following and forgetting tasks."""

import json
from collections.abc import Callable
from http.client import NOT_FOUND, OK

import pytest
from pixmill.commands.console import Exit
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
