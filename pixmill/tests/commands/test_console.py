"""Questions, and what Ctrl-C leaves."""

import io
import sys

import pytest
import typer
from pixmill.commands.console import Exit, agreed, secret_of


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
