"""Which server the demonstration uses."""

from collections.abc import Callable
from http.client import UNAUTHORIZED
from pathlib import Path

import pytest
from pixmill.commands import profiles_file
from pixmill.commands.console import Exit
from pixmill.commands.profiles_file import Profile, Profiles
from typer.testing import Result

from tests.support.answering import FakeServer, problem


@pytest.mark.parametrize("is_in_profile", [True, False])
def test_the_demonstration_uses_the_server_of_the_other_commands(
    fake_server: FakeServer, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, is_in_profile: bool
) -> None:
    if is_in_profile:
        monkeypatch.delenv("PIXMILL_URL")
        profiles_file.save(Profiles("work", {"work": Profile(fake_server.url, "pxm_work")}))
    fake_server.answer = lambda _method, _path, _body: problem(UNAUTHORIZED, "unauthorized")
    Path("photos").mkdir()
    Path("photos/a.jpg").touch()

    run = command("demo", "photos")

    assert (run.exit_code, run.stdout) == (Exit.SIGN_IN, "")
    assert "unauthorized. Give a key in PIXMILL_KEY" in run.stderr
    assert [method for method, _, _ in fake_server.requests] == ["PUT"]


def test_the_demonstration_says_that_the_server_is_away(
    fake_server: FakeServer, command: Callable[..., Result]
) -> None:
    fake_server.answer = lambda _method, _path, _body: None
    Path("photos").mkdir()
    Path("photos/a.jpg").touch()

    run = command("demo", "photos")

    assert (run.exit_code, run.stdout) == (Exit.UNREACHABLE, "")
    assert f"{fake_server.url} does not answer" in run.stderr


def test_the_demonstration_needs_photographs(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    Path("photos").mkdir()

    run = command("demo", "photos")

    assert (run.exit_code, fake_server.requests) == (Exit.NOT_FOUND, [])
    assert run.stderr == "pixmill: there are no photographs in photos\n"
