"""Which server the demonstration uses."""

from collections.abc import Callable
from http.client import UNAUTHORIZED
from pathlib import Path

import pytest
from pixmill.commands import profiles_file
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

    assert run.exit_code == 1
    assert [method for method, _, _ in fake_server.requests] == ["PUT"]
