"""Following and forgetting tasks."""

from collections.abc import Callable

from typer.testing import Result

from tests.support.answering import Asked


def test_no_ids_on_stdin_are_not_all_tasks(asked: Asked, command: Callable[..., Result]) -> None:
    run = command("watch", "-", stdin="")

    assert (run.exit_code, asked.requests) == (0, [])


def test_removed_objects_are_printed_as_json(asked: Asked, command: Callable[..., Result]) -> None:
    asked.answer = lambda _method, _path, _body: (204, b"")

    printed = [
        command(*words, "--json").stdout
        for words in (("tasks", "forget", "7"), ("links", "revoke", "3"), ("presets", "rm", "web"))
    ]

    assert printed == ['{"id": 7}\n', '{"id": 3}\n', '{"name": "web"}\n']
