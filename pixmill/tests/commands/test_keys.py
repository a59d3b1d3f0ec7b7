"""Whether the commands for keys are about a server or this machine's data."""

from collections.abc import Callable
from http.client import OK

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
