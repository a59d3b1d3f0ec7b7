"""Whether the commands for keys are about a server or this machine's data."""

import json
from collections.abc import Callable
from http.client import CREATED, OK

import pytest
from pixmill.commands import profiles_file
from pixmill.commands.console import Exit
from pixmill.commands.profiles_file import Profile, Profiles
from typer.testing import Result

from tests.support.answering import FakeServer

Command = Callable[..., Result]


@pytest.fixture
def local(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.delenv("PIXMILL_URL")
    return command


def test_the_profile_in_use_is_asked(fake_server: FakeServer, local: Command) -> None:
    profiles_file.save(Profiles("work", {"work": Profile(fake_server.url, "pxm_work")}))
    fake_server.answer = lambda _method, _path, _body: (OK, [])

    run = local("keys", "list")

    assert (run.exit_code, fake_server.paths("/keys")) == (0, ["/api/keys"])


def test_the_named_data_are_this_machines_despite_a_profile(fake_server: FakeServer, local: Command) -> None:
    profiles_file.save(Profiles("work", {"work": Profile(fake_server.url, "pxm_work")}))

    run = local("keys", "list", "--data", "nowhere")

    assert (run.exit_code, fake_server.requests) == (Exit.SOME_FAILED, [])


@pytest.mark.parametrize(
    "words",
    [
        ("list", "--json"),
        ("list", "-q"),
        ("create", "--json"),
        ("revoke", "5c831db126d4", "--json"),
        ("rotate", "5c831db126d4", "--json"),
        ("list", "--data", "data", "--url", "http://127.0.0.1:1"),
    ],
)
def test_options_without_a_meaning_are_refused(local: Command, words: tuple[str, ...]) -> None:
    run = local("keys", *words)

    assert (run.exit_code, run.stderr.startswith("pixmill: --")) == (Exit.USAGE, True)


KEY = {"id": "5c831db126d4", "owner": "admin", "scopes": ["files:read"], "secret": "pxm_new"}
MAKERS = [("create",), ("rotate", "5c831db126d4")]


@pytest.mark.parametrize("words", MAKERS)
def test_an_unknown_field_is_refused_before_a_key_is_made(
    fake_server: FakeServer, command: Command, words: tuple[str, ...]
) -> None:
    fake_server.answer = lambda _method, _path, _body: (CREATED, KEY)

    run = command("keys", *words, "--json=id,secrte")

    assert (run.exit_code, run.stdout, fake_server.requests) == (Exit.USAGE, "", [])
    assert "'secrte'" in run.stderr


@pytest.mark.parametrize("words", MAKERS)
def test_a_field_that_the_server_does_not_send_loses_no_secret(
    fake_server: FakeServer, command: Command, words: tuple[str, ...]
) -> None:
    fake_server.answer = lambda _method, _path, _body: (CREATED, KEY)

    run = command("keys", *words, "--json=secret,revoked_at")

    assert (run.exit_code, json.loads(run.stdout)) == (Exit.OK, {"secret": "pxm_new", "revoked_at": None})
