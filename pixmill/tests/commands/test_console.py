"""Questions, what Ctrl-C leaves, and the choice of fields."""

import io
import json
import sys
from collections.abc import Callable
from http.client import OK
from pathlib import Path

import pytest
import typer
from pixmill.client.problems import ConflictError, DamagedTransferError, StorageFullError, UnreachableError
from pixmill.commands.console import Exit, Failures, agreed, secret_of
from typer.testing import Result

from tests.support.answering import FakeServer, file_row


class Terminal(io.StringIO):
    """A terminal where somebody presses Ctrl-C."""

    def isatty(self) -> bool:
        return True

    def readline(self, _size: int | None = -1, /) -> str:  # type: ignore[override]  # typeshed names a base of bytes
        raise KeyboardInterrupt


def test_ctrl_c_at_a_question_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())

    with pytest.raises(typer.Exit) as ended:
        agreed("Delete?", yes=False)

    assert ended.value.exit_code == Exit.INTERRUPTED
    assert capsys.readouterr().err.endswith("pixmill: interrupted\n")


def test_ctrl_c_at_a_secret_has_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", interrupted)

    with pytest.raises(typer.Exit) as ended:
        secret_of("Key")

    assert ended.value.exit_code == Exit.INTERRUPTED


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (("show", "--json", "1"), list(file_row(1))),
        (("show", "1", "--json"), list(file_row(1))),
        (("show", "--json=size,id", "1"), ["size", "id"]),
        (("show", "1", "--json", "--json=name"), ["name"]),
    ],
)
def test_json_has_all_fields_or_those_that_are_named(
    fake_server: FakeServer, command: Callable[..., Result], words: tuple[str, ...], fields: list[str]
) -> None:
    fake_server.answer = lambda _method, _path, _body: (OK, file_row(1))

    run = command(*words)

    assert (run.exit_code, list(json.loads(run.stdout))) == (Exit.OK, fields)


def test_an_unknown_field_is_an_error_that_lists_the_others(
    fake_server: FakeServer, command: Callable[..., Result]
) -> None:
    fake_server.answer = lambda _method, _path, _body: (OK, file_row(1))

    run = command("show", "1", "--json=id,wdith")

    assert (run.exit_code, run.stdout) == (Exit.USAGE, "")
    assert all(name in run.stderr for name in ("'wdith'", *file_row(1)))


def test_a_file_can_have_the_name_of_the_option(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    fake_server.answer = lambda _method, _path, _body: (OK, file_row(1))
    Path("--json").touch()

    run = command("put", "--dry-run", "--", "--json")

    assert run.stdout == "--json\n"


def test_the_server_that_does_not_answer_is_named(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    fake_server.answer = lambda _method, _path, _body: None

    run = command("ls")

    assert run.exit_code == Exit.UNREACHABLE
    assert run.stderr.startswith(f"pixmill: {fake_server.url} does not answer (")


@pytest.mark.parametrize(
    "words",
    [("put", "no.jpg"), ("diff", "1", "no.jpg"), ("run", "flip", "no.jpg"), ("api", "PUT", "/", "--input", "no.jpg")],
)
def test_a_missing_file_is_always_reported_in_the_same_way(
    fake_server: FakeServer, command: Callable[..., Result], words: tuple[str, ...]
) -> None:
    fake_server.answer = lambda _method, path, _body: (OK, [] if path.endswith("/presets") else file_row(1))

    run = command(*words)

    assert (run.exit_code, run.stderr) == (Exit.NOT_FOUND, "pixmill: there is no file 'no.jpg'\n")


@pytest.mark.parametrize("words", [("ls", "--json", "id,name"), ("show", "1", "--json", "id,media_type")])
def test_fields_without_an_equals_sign_are_not_taken_for_an_argument(
    fake_server: FakeServer, command: Callable[..., Result], words: tuple[str, ...]
) -> None:
    run = command(*words)

    assert (run.exit_code, fake_server.requests) == (Exit.USAGE, [])
    assert f"write --json={words[-1]}" in run.stderr


def quota_exceeded(used: int) -> StorageFullError:
    detail = f"The files may have at most 1000 bytes and have {used}."
    return StorageFullError(507, "urn:pixmill:problem:quota-exceeded", detail=detail)


@pytest.mark.parametrize(
    "errors",
    [
        (quota_exceeded(990), quota_exceeded(995)),
        (
            DamagedTransferError("a.jpg was damaged; delete file 7"),
            DamagedTransferError("a.jpg was damaged; delete file 8"),
        ),
        (UnreachableError("refused"), UnreachableError("refused")),
    ],
    ids=["quota", "damaged", "away"],
)
def test_a_failure_with_other_values_is_the_same_failure(
    capsys: pytest.CaptureFixture[str], errors: tuple[Exception, Exception]
) -> None:
    failures = Failures()

    for error in errors:
        failures.say(error, "a.jpg")

    assert capsys.readouterr().err.count("a.jpg: ") == 1


def test_each_change_of_a_failure_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    failures = Failures()
    full, locked = quota_exceeded(990), ConflictError(423, "urn:pixmill:problem:locked", detail="The file is locked.")

    for error in (full, locked, locked, full, OSError("no file"), OSError("no room")):
        failures.say(error)

    assert capsys.readouterr().err.splitlines() == [str(full), str(locked), str(full), "no file", "no room"]
