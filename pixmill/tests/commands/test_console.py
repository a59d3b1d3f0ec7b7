"""Questions, what Ctrl-C leaves, and the choice of fields."""

import hashlib
import inspect
import io
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from http.client import CREATED, NO_CONTENT, OK
from pathlib import Path

import pytest
import typer
from pixmill.cli import app
from pixmill.client.problems import (
    ConflictError,
    DamagedTransferError,
    InvalidError,
    StorageFullError,
    UnreachableError,
)
from pixmill.commands.console import Exit, Failures, agreed, concerns_the_file, secret_of
from typer.models import OptionInfo
from typer.testing import Result

from tests.support.answering import Answer, FakeServer, file_row
from tests.support.applications import configure_applications


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


def test_a_field_that_the_server_did_not_send_is_null(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    rows = [file_row(1), file_row(2, folder="holiday")]
    fake_server.answer = lambda _method, _path, _body: (OK, rows)

    run = command("ls", "--json=id,folder")

    assert (run.exit_code, [json.loads(line) for line in run.stdout.splitlines()]) == (
        Exit.OK,
        [{"id": 1, "folder": None}, {"id": 2, "folder": "holiday"}],
    )


def test_a_field_that_only_a_newer_server_has_is_printed_with_all_fields_and_cannot_be_chosen(
    fake_server: FakeServer, command: Callable[..., Result]
) -> None:
    fake_server.answer = lambda _method, _path, _body: (OK, file_row(1, newer=7))

    everything, chosen = command("show", "1", "--json"), command("show", "1", "--json=newer")

    assert (everything.exit_code, json.loads(everything.stdout)["newer"]) == (Exit.OK, 7)
    assert (chosen.exit_code, chosen.stdout) == (Exit.USAGE, "")


def with_json(group: typer.Typer, *above: str) -> Iterator[str]:
    """Yield the words of each command that has the option ``--json``, with as many arguments as it requires."""
    for command in group.registered_commands:
        assert command.callback is not None
        parameters = inspect.signature(command.callback).parameters.values()
        notes = [note for parameter in parameters for note in getattr(parameter.annotation, "__metadata__", ())]
        if any(
            isinstance(note, OptionInfo) and "--json" in (note.default, *(note.param_decls or ())) for note in notes
        ):
            required = ["1" for parameter in parameters if parameter.default is parameter.empty]
            yield " ".join([*above, command.name or command.callback.__name__, *required])
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from with_json(inner.typer_instance, *above, inner.name or "")


WITH_JSON = list(with_json(app))


def test_the_commands_with_json_are_found() -> None:
    assert {"put 1", "rename 1 1", "mv 1", "rm 1", "ls", "presets put 1 1", "keys create"} < set(WITH_JSON)


@pytest.mark.parametrize("words", WITH_JSON)
def test_an_unknown_field_is_refused_before_the_command_does_anything(
    fake_server: FakeServer, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    def pause(_seconds: float) -> None:
        raise KeyboardInterrupt

    Path("1").mkdir()
    # Commands that go on until Ctrl-C have to end in this test if they begin.
    monkeypatch.setattr("time.sleep", pause)

    run = command(*words.split(), "--json=nosuch")

    assert (run.exit_code, run.stdout, fake_server.requests) == (Exit.USAGE, "", [])
    assert "'nosuch'" in run.stderr
    assert list(Path().iterdir()) == [Path("1")]


@pytest.mark.parametrize(
    "words",
    [
        "share 1 --json=file_id",
        "share 1 --json=token --direct",
        "trash --empty --yes --json=id",
        "ls --json=id --count",
        "get 1 --zip --json=id",
        "rm 1 --yes --json=size",
        "run flip 1 --json=status",
        "run flip 1 --wait --json=file_ids",
        "run flip 1 --wait --json=status -o out",
        "presets put web flip --dry-run --json=read_only",
    ],
)
def test_a_field_that_only_other_options_print_is_refused(
    fake_server: FakeServer, command: Callable[..., Result], words: str
) -> None:
    fake_server.answer = answered

    run = command(*words.split())

    assert (run.exit_code, run.stdout, fake_server.requests) == (Exit.USAGE, "", [])
    assert "--json: there is no field" in run.stderr


def choosable(command: Callable[..., Result], words: str) -> set[str]:
    """Return the fields of which ``--json=FIELDS`` of a command has a choice, from its message about an unknown one."""
    refused = command(*words.split(), "--json=nosuch").stderr
    names = re.search(r"'nosuch', only: ([a-z0-9_, ]*[a-z0-9_])", refused)
    assert names is not None, refused
    return set(names[1].split(", "))


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch, command: Callable[..., Result]) -> Callable[..., Result]:
    """Return the function that runs a command, on a terminal that breaks no line."""
    monkeypatch.setenv("COLUMNS", "2000")
    return command


@pytest.mark.parametrize(
    ("words", "sent", "more"),
    [
        ("algorithms", "image_processor.routers.catalog:AlgorithmOut", set()),
        ("info 1", "image_processor.render.routers.metadata:MetadataOut", {"id"}),
        ("ls", "file_storage.routers.schemas:FileOut", set()),
        ("mv 1 holiday", "file_storage.routers.schemas:FileOut", set()),
        ("presets ls", "image_processor.routers.presets:PresetOut", set()),
        ("presets put web flip", "image_processor.routers.presets:PresetOut", set()),
        ("put a.jpg", "file_storage.routers.schemas:FileOut", set()),
        ("rename 1 b", "file_storage.routers.schemas:FileOut", set()),
        ("rm 1 --dry-run", "file_storage.routers.schemas:FileOut", set()),
        ("run flip 1 --wait", "image_processor.routers.tasks:TaskOut", set()),
        ("runs forget 7", "image_processor.routers.batches:ForgottenOut", set()),
        ("runs ls", "image_processor.routers.batches:BatchOut", set()),
        ("runs show 7", "image_processor.routers.batches:BatchDetailOut", set()),
        ("share 1", "file_storage.routers.links:SetLinkOut", set()),
        ("share 1 --direct", "file_storage.routers.links:LinkOut", {"file_id"}),
        ("show 1", "file_storage.routers.schemas:FileOut", set()),
        ("tasks cancel 7", "image_processor.routers.tasks:TaskOut", set()),
        ("tasks ls", "image_processor.routers.tasks:TaskOut", set()),
        ("tasks restart 7", "image_processor.routers.tasks:TaskOut", set()),
        ("tasks show 7", "image_processor.routers.tasks:TaskOut", set()),
        ("trash", "file_storage.routers.trash:TrashedOut", set()),
    ],
)
def test_the_fields_of_which_a_command_has_a_choice_are_those_that_the_server_sends(
    wide: Callable[..., Result], words: str, sent: str, more: set[str]
) -> None:
    assert choosable(wide, words) == set(pkgutil.resolve_name(sent).model_fields) | more


def test_the_fields_of_listed_links_are_those_that_the_server_sends(
    wide: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as environment:
        configure_applications(environment, "links")
        client = pkgutil.resolve_name("file_storage.app:create_app")().test_client()
        file = client.put("/", query_string={"name": "a.txt"}, data=b"a").get_json()
        client.post("/links", json={"file_ids": [file["id"]]})
        client.post(f"/{file['id']}/links", json={})
        listed = client.get("/links").get_json()

    assert [set(link) for link in listed] == [choosable(wide, "links ls")] * 2


def test_the_fields_of_keys_are_those_that_the_server_sends(
    wide: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as environment:
        configure_applications(environment, "keys")
        client = pkgutil.resolve_name("service_kit.access.app:create_app")().test_client()
        made = client.post("/keys", json={"owner": "shop", "role": "reader"}).get_json()
        rotated = client.post(f"/keys/{made['id']}/rotate", json={}).get_json()
        listed = client.get("/keys").get_json()
        revoked = client.delete(f"/keys/{made['id']}").get_json()

    answers = {"create": made, "rotate 1": rotated, "list": listed[0], "revoke 1": revoked}
    assert {words: choosable(wide, f"keys {words}") for words in answers} == {
        words: set(answer) for words, answer in answers.items()
    }


CONTENT = b"content"
DATE = "Mon, 30 Nov 2026 12:00:00 GMT"
FILE = file_row(1, size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
LINK = {"id": 3, "url": "http://here/s/token", "expires_at": DATE}
TASK = {"id": 9, "source_id": 1, "result_id": 1, "status": "finished", "algorithm": "flip"}
BATCH = {"id": 7, "status": "ended", "algorithm": "flip", "tasks": 1, "counts": {"finished": 1}}
ANSWERS: dict[str, Answer] = {
    "/archive": (OK, b"archive"),
    "/batches/7": (OK, BATCH),
    "/delete": (OK, {"ids": [1], "restore_until": DATE, "more": False}),
    "/download": (OK, CONTENT),
    "/file-server/1/links": (CREATED, LINK),
    "/file-server/links": (CREATED, {**LINK, "token": "t", "api_url": "http://here/api", "file_count": 1}),
    "/image-processing/7": (NO_CONTENT, b""),
    "/index": (OK, {"total": 1, "ids": [1], "ratios": [None]}),
    "/links/3": (NO_CONTENT, b""),
    "/lookup": (OK, {"files": [FILE]}),
    "/metadata/1": (OK, {"info": {"format": "png"}, "blurhash": "L6"}),
    "/presets": (OK, []),
    "/presets/web": (NO_CONTENT, b""),
    "/readyz": (OK, {"status": "ok"}),
    "/restore": (OK, {"ids": [1], "more": False}),
    "/session": (OK, {"mode": "keys"}),
    "/trash/empty": (OK, {"removed": 1, "more": False}),
}
"""What the server answers, by the end of the path."""


def answered(method: str, path: str, _body: bytes) -> Answer:
    if path.endswith("/image-processing/"):
        return (CREATED, {"batch_id": 7, "task_ids": [9]}) if method == "POST" else (OK, [TASK])
    return next((answer for ending, answer in ANSWERS.items() if path.endswith(ending)), (OK, FILE))


@pytest.mark.parametrize(
    "words",
    [
        "diff 1 1",
        "get 1",
        "get 1 --zip --force",
        "info 1",
        "links revoke 3",
        "ls --count",
        "mv 1 holiday",
        "presets put web flip --dry-run",
        "presets rm web",
        "rename 1 b",
        "restore 1",
        "rm 1 --dry-run",
        "rm 1 --yes",
        "run flip 1",
        "run flip 1 --dry-run",
        "run flip 1 --wait",
        "run flip 1 -o out",
        "runs save 7",
        "runs show 7",
        "runs watch 7",
        "share 1",
        "share 1 --direct",
        "status",
        "tasks forget 7",
        "trash --empty --yes",
    ],
)
def test_all_fields_that_a_command_prints_can_be_chosen(
    fake_server: FakeServer, command: Callable[..., Result], words: str
) -> None:
    fake_server.answer = answered

    everything = command(*words.split(), "--json")
    names = ",".join(json.loads(everything.stdout))
    chosen = command(*words.split(), f"--json={names}")

    assert (everything.exit_code, chosen.exit_code) == (Exit.OK, Exit.OK), chosen.stderr
    assert chosen.stdout == everything.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("tasks", "ls", "--status"),
        ("watch", "--status"),
        ("tasks", "restart", "--all"),
        ("ls", "--origin"),
        ("ls", "--sort"),
        ("keys", "create", "me", "--role"),
        ("completion", "show"),
    ],
    ids=" ".join,
)
def test_a_value_that_is_not_offered_is_refused_without_words_of_a_library(
    command: Callable[..., Result], words: Sequence[str]
) -> None:
    run = command(*words, "nonsense")

    assert run.exit_code == Exit.USAGE
    assert re.search(r"Invalid value for .+: 'nonsense' is not one of '\w", run.stderr), run.stderr


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


@pytest.mark.parametrize(
    ("error", "is_about_the_file"),
    [
        (InvalidError(413), True),
        (InvalidError(422), True),
        (InvalidError(421), False),
        (ConflictError(423), False),
        (quota_exceeded(990), False),
        (OSError("no room"), False),
        (None, False),
    ],
)
def test_only_a_refusal_of_the_file_itself_lasts(error: Exception | None, *, is_about_the_file: bool) -> None:
    assert concerns_the_file(error) is is_about_the_file


def test_each_change_of_a_failure_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    failures = Failures()
    full, locked = quota_exceeded(990), ConflictError(423, "urn:pixmill:problem:locked", detail="The file is locked.")

    for error in (full, locked, locked, full, OSError("no file"), OSError("no room")):
        failures.say(error)

    assert capsys.readouterr().err.splitlines() == [str(full), str(locked), str(full), "no file", "no room"]
