"""Commands for shell completion: install, show."""

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined]  # typer does not list its exports
from typer.completion import install as install_script  # type: ignore[attr-defined]  # likewise

from pixmill.commands.console import emit, examples, reported, say
from pixmill.commands.words import text

app = typer.Typer(
    help="Let your shell complete commands, presets, algorithms and their params.",
    no_args_is_help=True,
    epilog=examples("pixmill completion install bash", "pixmill completion show bash"),
)


class Shell(StrEnum):
    """The supported shells."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


ShellName = Annotated[Shell, typer.Argument(help="Your shell.")]


@app.command(epilog=examples("pixmill completion install bash", "pixmill completion install zsh"))
def install(shell: ShellName) -> None:
    """Write the script where the shell looks for it."""
    with reported():
        # `shell` is the name of a shell; no shell is run.
        _, path = install_script(shell=shell.value, prog_name="pixmill", complete_var="_PIXMILL_COMPLETE")  # nosec B604
    say(text("Completion is in {path}; open another terminal.", path=path))


@app.command(epilog=examples("pixmill completion show bash", "pixmill completion show fish > pixmill.fish"))
def show(shell: ShellName) -> None:
    """Print the script."""
    script = get_completion_script(prog_name="pixmill", complete_var="_PIXMILL_COMPLETE", shell=shell.value)  # nosec B604
    emit(script)
