"""Deleting files, and emptying the trash."""

import json
from collections.abc import Callable
from http.client import OK

from pixmill.commands.console import Exit
from typer.testing import Result

from tests.support.answering import Answer, FakeServer, file_row

Command = Callable[..., Result]


def bodies(fake_server: FakeServer, ending: str) -> list[object]:
    return [json.loads(body) for _, path, body in fake_server.requests if path.endswith(ending)]


def test_after_a_lost_answer_only_the_files_of_the_command_are_removed_from_the_trash(
    fake_server: FakeServer, command: Command
) -> None:
    def answer(_method: str, path: str, _body: bytes) -> Answer | None:
        if path.endswith("/lookup"):
            return OK, {"files": [file_row(1)]}
        if path.endswith("/delete"):
            # The first request has deleted the file, so the second one finds nothing.
            return None if len(fake_server.paths("/delete")) == 1 else (OK, {"ids": [], "more": False})
        return OK, {"removed": 1, "more": False}

    fake_server.answer = answer

    run = command("rm", "1", "--force", "--yes")

    assert (run.exit_code, run.stdout) == (0, "1\n")
    assert len(fake_server.paths("/delete")) == 2
    assert bodies(fake_server, "/trash/empty") == [{"ids": [1]}]


def test_after_a_lost_answer_the_time_in_the_trash_is_looked_up(fake_server: FakeServer, command: Command) -> None:
    def answer(_method: str, path: str, _body: bytes) -> Answer | None:
        if path.endswith("/lookup"):
            return OK, {"files": [file_row(1)]}
        if path.endswith("/delete"):
            return (
                None
                if len(fake_server.paths("/delete")) == 1
                else (OK, {"ids": [], "more": False, "restore_until": None})
            )
        return OK, [file_row(1, restore_until="Wed, 25 Nov 2026 22:13:25 GMT")]

    fake_server.answer = answer

    run = command("rm", "1", "--yes")

    assert (run.exit_code, run.stdout) == (0, "1\n")
    assert "In the trash until" in run.stderr


def test_after_a_lost_answer_the_restored_files_are_not_missing(fake_server: FakeServer, command: Command) -> None:
    existing = {1}

    def answer(_method: str, path: str, body: bytes) -> Answer | None:
        ids = json.loads(body)["ids"]
        if path.endswith("/lookup"):
            return OK, {"files": [file_row(number) for number in ids if number in existing]}
        restored = sorted({2} - existing)
        existing.update(restored)
        return (OK, {"ids": restored, "more": False}) if len(fake_server.paths("/restore")) > 1 else None

    fake_server.answer = answer

    run = command("restore", "1", "2", "3")

    assert (run.exit_code, run.stdout) == (Exit.NOT_FOUND, "2\n")
    assert "not in the trash: 1, 3" in run.stderr


def test_the_whole_trash_is_emptied_only_by_its_own_command(fake_server: FakeServer, command: Command) -> None:
    fake_server.answer = lambda _method, _path, _body: (OK, {"removed": 7, "more": False})

    run = command("trash", "--empty", "--yes")

    assert (run.exit_code, run.stdout) == (0, "7\n")
    assert bodies(fake_server, "/trash/empty") == [{}]
