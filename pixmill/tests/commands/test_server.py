"""What the doctor says, and requests of the user."""

from collections.abc import Callable
from http.client import OK

import pytest
from pixmill.commands import profiles_file
from pixmill.commands.console import Exit
from pixmill.commands.profiles_file import Profile, Profiles
from typer.testing import Result

from tests.support.answering import FakeServer


def test_the_doctor_names_a_key_command_that_does_not_run(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIXMILL_URL")
    profiles_file.save(Profiles("work", {"work": Profile("http://127.0.0.1:1", None, "/nowhere/no-such-program")}))

    run = command("doctor")

    assert run.exit_code == Exit.USAGE
    assert "the key_command failed" in run.stderr


@pytest.mark.parametrize("words", [("-f", "name"), ("-f", "=rocket"), ("-H", "Accept"), ("-H", ": text/plain")])
def test_a_field_or_header_without_a_name_or_value_is_refused(
    fake_server: FakeServer, command: Callable[..., Result], words: tuple[str, ...]
) -> None:
    run = command("api", "GET", "/api/file-server/", *words)

    assert (run.exit_code, fake_server.requests) == (Exit.USAGE, [])
    assert f"'{words[1]}' is not a" in run.stderr


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("doctor",), ("profile", "ls"), ("ls",)])
def test_no_command_prints_the_password_in_a_url(
    fake_server: FakeServer,
    command: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    monkeypatch.delenv("PIXMILL_URL")
    scheme, _, host = fake_server.url.partition("//")
    profiles_file.save(Profiles("work", {"work": Profile(f"{scheme}//me:s3cret@{host}")}))
    fake_server.answer = lambda _method, _path, _body: None

    run = command(*words)

    assert host in run.output
    assert "s3cret" not in run.output


def test_a_field_next_to_a_body_is_in_the_query(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    run = command("api", "PUT", "/api/file-server/", "--input", "-", "-f", "name=a b.txt", stdin=b"abc")

    assert (run.exit_code, fake_server.queries) == (Exit.OK, ["name=a+b.txt"])
    assert fake_server.requests == [("PUT", "/api/file-server/", b"abc")]


@pytest.mark.parametrize(
    ("headers", "ending"),
    [
        ({"Content-Type": "application/json"}, b"\n"),
        ({"Content-Type": "application/problem+json; charset=utf-8"}, b"\n"),
        ({"Content-Type": "application/json", "Content-Disposition": "attachment"}, b""),
        ({"Content-Type": "image/png"}, b""),
        ({"Content-Type": "text/plain"}, b""),
    ],
    ids=["json", "suffix", "file", "image", "text"],
)
def test_only_json_that_is_not_a_file_ends_with_a_newline(
    fake_server: FakeServer, command: Callable[..., Result], headers: dict[str, str], ending: bytes
) -> None:
    fake_server.answer = lambda _method, _path, _body: (OK, b'{"id": 1}', headers)

    run = command("api", "GET", "/api/file-server/1/download")

    assert run.stdout_bytes == b'{"id": 1}' + ending
