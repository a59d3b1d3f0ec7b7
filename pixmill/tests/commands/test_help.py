"""The help of every command."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from pixmill.cli import app
from pixmill.commands.console import EXIT_CODES
from typer.testing import CliRunner

pytestmark = pytest.mark.slow


def commands(group: typer.Typer, *above: str) -> Iterator[tuple[str, str]]:
    """Yield the words of each command and group of commands, and the end of its help."""
    for command in group.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "")
        yield " ".join([*above, str(name)]), command.epilog or ""
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        if inner.name:
            yield " ".join([*above, inner.name]), str(inner.typer_instance.info.epilog)
        yield from commands(inner.typer_instance, *above, inner.name or "")


COMMANDS = list(commands(app))


@pytest.mark.parametrize(("words", "epilog"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_each_command_has_two_examples_of_itself(words: str, epilog: str) -> None:
    examples = epilog.split("\n\n")[1:]

    assert len(examples) == 2
    assert any(f"pixmill {words}" in example for example in examples)


@pytest.mark.parametrize("words", [words for words, _ in COMMANDS])
def test_the_help_has_no_types_of_python_and_no_doubled_brackets(words: str) -> None:
    shown = CliRunner().invoke(app, [*words.split(), "--help"], env={"COLUMNS": "200"}).output

    assert words in shown
    assert re.findall(r"<\w+>|list\[|…\.\.\.|\[\[|[{}]\.\.\.", shown) == []


def test_the_help_lists_the_exit_codes() -> None:
    epilog = app.info.epilog

    assert isinstance(epilog, str)
    for code, meaning in EXIT_CODES.items():
        assert f"{code.value}  {meaning}" in epilog


def test_the_command_line_needs_only_the_packages_of_the_base_install() -> None:
    program = (
        "import sys, pixmill, pixmill.cli, pixmill.demo, pixmill.params\n"
        "pixmill.Pixmill().close()\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    servers = {"service_kit", "file_storage", "image_processor", "flask", "pydantic", "sqlalchemy", "pyvips", "numpy"}
    assert servers & set(run.stdout.split()) == set()
    assert "httpx2" in run.stdout.split()


def test_help_starts_without_what_only_requests_and_steps_need() -> None:
    program = (
        "import sys\n"
        "from pixmill.cli import app\n"
        "try:\n"
        "    app(['ls', '--help'])\n"
        "except SystemExit as end:\n"
        "    print('ended with', end.code)\n"
        "print(*(name for name in ('httpx2', 'pixmill.params') if name in sys.modules), sep=', ')"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout.splitlines()[-2:] == ["ended with 0", ""]
