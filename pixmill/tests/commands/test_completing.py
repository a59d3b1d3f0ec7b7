"""Shell completions."""

from collections.abc import Callable
from http.client import OK
from pathlib import Path

import pytest
from pixmill.cli import app
from pixmill.commands import profiles_file
from pixmill.commands.completing import Catalog, proposals
from pixmill.commands.profiles_file import Profile, Profiles
from typer.testing import CliRunner, Result

from tests.support.answering import FakeServer

CATALOG: Catalog = {
    "web": {},
    "resize": {"properties": {"width": {}, "fit": {"enum": ["inside", "outside", "cover"]}, "focal": {}}},
    "rotate": {"properties": {"angle": {}}},
}


@pytest.mark.parametrize(
    ("incomplete", "offered"),
    [
        ("r", ["resize", "rotate"]),
        ("w", ["web"]),
        ("resize f", ["resize fit=", "resize focal="]),
        ("resize fit=cover f", ["resize fit=cover focal="]),
        ("resize fit=in", ["resize fit=inside"]),
        ("resize width=8 | ro", ["resize width=8 | rotate"]),
        ("resize | w", []),
        ("unknown x", []),
    ],
)
def test_what_is_offered(incomplete: str, offered: list[str]) -> None:
    assert list(proposals(CATALOG, incomplete)) == offered


@pytest.fixture
def two_servers(fake_server: FakeServer, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """Return a server of the profile `work`, which is not in use; the key of `work` is the output of a command."""
    del command  # it chooses the folders
    key_command = "sh -c 'echo run >> key-commands; echo pxm_key'"
    profiles = {"work": Profile(fake_server.url, None, key_command), "home": Profile("http://127.0.0.1:1")}
    profiles_file.save(Profiles("home", profiles))
    monkeypatch.delenv("PIXMILL_URL")
    fake_server.answer = lambda _method, path, _body: (
        OK,
        [{"name": "web", "params": {}}] if path.endswith("/presets") else [],
    )
    return fake_server


def completed(line: str) -> list[str]:
    """Return the completions of the last word of a line."""
    variables = {"_PIXMILL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    run = CliRunner().invoke(app, [], env=variables, prog_name="pixmill")
    return run.stdout.split()


@pytest.mark.parametrize("choice", ["--profile work", "--url {url}"])
def test_the_server_of_the_line_is_asked(two_servers: FakeServer, choice: str) -> None:
    assert completed(f"pixmill run {choice.format(url=two_servers.url)} w") == ["web"]


def test_the_command_for_the_key_runs_only_to_ask_the_server(two_servers: FakeServer) -> None:
    answers = [completed("pixmill run --profile work w") for _ in range(3)]

    assert answers == [["web"]] * 3
    assert Path("key-commands").read_text() == "run\n"
    assert len(two_servers.paths("/presets")) == 1
