"""The words of the command line have Russian ones."""

import ast
import string
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from pixmill.cli import app
from pixmill.commands.words import LOCALE, language, localize

from tests.support.messages import translations_in

COMMANDS = Path(__file__).parents[2] / "src/pixmill"
CATALOG = LOCALE / "ru/LC_MESSAGES/messages.po"


@cache
def messages() -> frozenset[str]:
    """Return the first arguments of ``text``."""
    trees = [ast.parse(module.read_text("utf-8")) for module in COMMANDS.rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    marked = [call.args[0] for call in calls if name_of(call.func) == "text"]
    return frozenset(str(first.value) for first in marked if isinstance(first, ast.Constant))


def name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def help_texts() -> set[str]:
    """Return the help of all commands, options and arguments."""
    found: set[str] = set()

    def collect(message: str) -> str:
        found.add(message)
        return message

    localize(app, collect)
    return found - {""}


@pytest.fixture(scope="module")
def russian() -> dict[str, str]:
    return {message: translation for (_, message), translation in translations_in(CATALOG).items()}


def test_each_message_has_a_russian_one(russian: dict[str, str]) -> None:
    assert len(messages()) > 40
    assert messages() - russian.keys() == set()


def test_each_help_text_has_a_russian_one(russian: dict[str, str]) -> None:
    assert len(help_texts()) > 150
    assert help_texts() - russian.keys() == set()


def test_a_translation_has_the_values_of_its_message(russian: dict[str, str]) -> None:
    def values(message: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(message) if name}

    assert {message for message in messages() if values(russian[message]) != values(message)} == set()


def test_the_compiled_catalog_is_up_to_date() -> None:
    with CATALOG.with_suffix(".mo").open("rb") as file:
        compiled = {(message.context or "", message.id): message.string for message in read_mo(file) if message.id}

    assert compiled == translations_in(CATALOG), "run `make translations`"


@pytest.mark.parametrize(
    ("variables", "chosen"),
    [
        ({}, "en"),
        ({"LANG": "ru_RU.UTF-8"}, "ru"),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "C", "LC_ALL": "ru"}, "ru"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_environment_chooses_the_language(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], chosen: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert language() == chosen


def test_a_russian_terminal_gets_russian_help_and_messages() -> None:
    program = (
        "from contextlib import suppress\n"
        "from pixmill.cli import app\n"
        "for words in (['rm', '--help'], ['rm', 'x']):\n"
        "    with suppress(SystemExit):\n"
        "        app(words)"
    )
    environment = {"LC_ALL": "ru_RU.UTF-8", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": ":".join(sys.path)}

    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)

    assert "Переместить файлы в корзину" in run.stdout
    assert "Примеры:" in run.stdout
    assert "«x»" in run.stderr
