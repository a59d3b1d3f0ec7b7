"""Commands that ask a server of the test."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pixmill.cli import app
from typer.testing import CliRunner, Result

from tests.support.answering import FakeServer, answering


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    with answering() as server:
        yield server


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_server: FakeServer) -> Callable[..., Result]:
    """Return a function that runs a command against the server, in an empty folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    # Without the random factor, the pauses between attempts take no time.
    monkeypatch.setattr("random.uniform", lambda _least, _most: 0.0)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "PIXMILL_KEY", "PIXMILL_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIXMILL_URL", fake_server.url)
    monkeypatch.setenv("COLUMNS", "200")
    for kind in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind))

    def run(*words: str, stdin: str | bytes | None = None) -> Result:
        arguments: Sequence[str] = words
        return CliRunner().invoke(app, arguments, input=stdin)

    return run
