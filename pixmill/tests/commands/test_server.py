"""What the doctor says."""

from collections.abc import Callable

import pytest
from pixmill.commands import profiles_file
from pixmill.commands.console import Exit
from pixmill.commands.profiles_file import Profile, Profiles
from typer.testing import Result


def test_the_doctor_names_a_key_command_that_does_not_run(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIXMILL_URL")
    profiles_file.save(Profiles("work", {"work": Profile("http://127.0.0.1:1", None, "/nowhere/no-such-program")}))

    run = command("doctor")

    assert run.exit_code == Exit.USAGE
    assert "the key_command failed" in run.stderr
