"""What Ctrl-C leaves of a run, and which names are files."""

import hashlib
import json
import os
import signal
from collections.abc import Callable
from http.client import CREATED, NOT_FOUND, OK, UNPROCESSABLE_ENTITY
from pathlib import Path

import pytest
from pixmill.commands.console import Exit
from typer.testing import Result

from tests.support.answering import Answer, FakeServer, file_row, problem


@pytest.mark.parametrize(
    ("interrupted", "says"),
    [
        ("/api/file-server/", "no run was begun"),
        ("/api/image-processing/", "the server may have begun a run, and the same command begins another."),
    ],
)
def test_an_interrupt_says_whether_a_run_was_begun(
    fake_server: FakeServer, command: Callable[..., Result], interrupted: str, says: str
) -> None:
    def answer(_method: str, path: str, _body: bytes) -> Answer:
        if path == interrupted:
            os.kill(os.getpid(), signal.SIGINT)
        if path.endswith("/lookup"):
            return OK, {"files": []}
        return OK, [] if path.endswith("/presets") else file_row(1) | {"batch_id": 7, "task_ids": [1]}

    Path("a.txt").touch()
    fake_server.answer = answer

    run = command("run", "flip", "a.txt" if interrupted == "/api/file-server/" else "1")

    assert run.exit_code == Exit.INTERRUPTED
    assert says in " ".join(run.stderr.split())


@pytest.fixture
def presets(fake_server: FakeServer) -> list[str]:
    """Return the names of the server's presets, which a test fills."""
    names: list[str] = []

    def answer(_method: str, path: str, _body: bytes) -> Answer:
        if path.endswith("/presets"):
            return OK, [{"name": name, "params": {"steps": []}} for name in names]
        return problem(NOT_FOUND, "unexpected")

    fake_server.answer = answer
    return names


@pytest.mark.parametrize("name", ["web.json", "web.yml"])
def test_a_preset_can_have_the_name_of_a_file_and_a_slash_means_the_file(
    presets: list[str], command: Callable[..., Result], name: str
) -> None:
    presets.append(name)
    Path(name).write_text('{"steps": [{"algorithm": "flip"}]}')

    preset = command("run", name, "1", "--dry-run")
    file = command("run", f"./{name}", "1", "--dry-run")

    assert json.loads(preset.stdout)["preset"] == name
    assert f"./{name}" in preset.stderr
    assert json.loads(file.stdout)["params"] == {"steps": [{"algorithm": "flip"}]}
    assert file.stderr == ""


@pytest.mark.usefixtures("presets")
def test_a_file_without_a_preset_of_its_name_needs_no_slash(command: Callable[..., Result]) -> None:
    Path("web.yml").write_text("steps:\n  - algorithm: flip\n")

    run = command("run", "web.yml", "1", "--dry-run", "--set", "output.quality=80")

    assert json.loads(run.stdout)["params"] == {"steps": [{"algorithm": "flip"}], "output": {"quality": 80}}


@pytest.mark.usefixtures("presets")
@pytest.mark.parametrize("words", [("run", "web.yml", "1"), ("presets", "put", "web", "web.yml")])
def test_a_missing_file_is_named(command: Callable[..., Result], words: tuple[str, ...]) -> None:
    run = command(*words)

    assert (run.exit_code, run.stderr) == (Exit.NOT_FOUND, "pixmill: there is no file 'web.yml'\n")


@pytest.mark.usefixtures("presets")
def test_steps_without_quotes_are_explained(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    run = command("run", "resize", "width=800", "1")

    assert run.exit_code == Exit.NOT_FOUND
    assert "no file 'width=800'; write steps in quotes" in run.stderr
    assert [method for method, _, _ in fake_server.requests] == ["GET"]


@pytest.mark.parametrize(("what", "is_explained"), [("wbe", True), ("wbe width=1", False)])
def test_a_name_that_is_neither_a_preset_nor_an_algorithm_is_explained(
    fake_server: FakeServer, command: Callable[..., Result], what: str, is_explained: bool
) -> None:
    def answer(method: str, _path: str, _body: bytes) -> Answer:
        return (OK, []) if method == "GET" else problem(UNPROCESSABLE_ENTITY, "unknown-algorithm")

    fake_server.answer = answer

    run = command("run", what, "1")

    assert run.exit_code == Exit.USAGE
    assert run.stderr.startswith("pixmill: unknown-algorithm.\n")
    assert ("There is no preset 'wbe' either; see: pixmill presets ls" in run.stderr) == is_explained


@pytest.mark.usefixtures("presets")
def test_more_files_than_a_run_may_have_are_refused_before_the_first_upload(
    fake_server: FakeServer, command: Callable[..., Result]
) -> None:
    Path("a.txt").touch()

    run = command("run", "flip", "-", "a.txt", stdin=" ".join(map(str, range(1, 10_001))))

    assert (run.exit_code, run.stderr) == (
        Exit.USAGE,
        "pixmill: a run has at most 10000 files, and these are 10001\n",
    )
    assert [method for method, _, _ in fake_server.requests] == ["GET"]


@pytest.mark.usefixtures("presets")
def test_a_dry_run_prints_the_lifetime_of_the_results(command: Callable[..., Result]) -> None:
    run = command("run", "flip", "1", "--expires", "2h", "--dry-run", "--json=file_ids,expires_in")

    assert json.loads(run.stdout) == {"file_ids": [1], "expires_in": 7200}


def test_a_file_that_the_server_has_is_processed_without_another_upload(
    fake_server: FakeServer, command: Callable[..., Result]
) -> None:
    bodies: list[object] = []

    def answer(method: str, path: str, body: bytes) -> Answer:
        if path.endswith("/lookup"):
            return OK, {"files": [file_row(3, sha256=hashlib.sha256(b"abc").hexdigest())]}
        if method == "POST":
            bodies.append(json.loads(body)["file_ids"])
            return CREATED, {"batch_id": 7, "task_ids": [5, 6]}
        return OK, []

    Path("a.txt").write_bytes(b"abc")
    Path("other").mkdir()
    Path("other/a.txt").write_bytes(b"abc")
    fake_server.answer = answer

    run = command("run", "flip", "2", "a.txt", "other/a.txt")

    assert (run.exit_code, run.stdout) == (0, "5\n6\n")
    assert bodies == [[2, 3]]
    assert [method for method, _, _ in fake_server.requests if method == "PUT"] == []
