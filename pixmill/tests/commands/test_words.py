"""All texts of the command line are translated into Russian."""

import ast
import json
import os
import re
import string
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path

import pytest
from pixmill.cli import app
from pixmill.client.answers import Task
from pixmill.client.tasks import RunFailedError
from pixmill.commands.console import Exit, described, shown
from pixmill.commands.translated import BY_OTHERS, BY_THE_LIBRARY, BY_THE_PARSER, translated
from pixmill.commands.words import LOCALE, language, localize, plural

from tests.support.messages import compiled_in, forms_in, translations_in

COMMANDS = Path(__file__).parents[2] / "src/pixmill"
FOR_PROGRAMS = {
    "The request has no webhook-id, webhook-timestamp or webhook-signature.",
    "The webhook is too old, or the clock of this machine is wrong.",
    "The webhook is not signed with this secret.",
    "The webhook has no event.",
    "The webhook is not JSON.",
    "What follows {} in the secret is not base64.",
    "the driver gave no reply to a call",
    "a preset has its own steps and output",
    "a URL has at most {} bytes after the host; store the steps as a preset",
    "give widths or dprs, not both",
    "dprs need a width or a height to multiply",
    "a key has at least {} bytes; give one of the server's native.keys",
    "a side of an image is 1 to {} pixels, also times its dpr",
    "a URL gives an image, and no analysis or tiles",
}
"""Sentences that no command can print.

They are about webhooks and images by URL, for which there are no commands, and about errors in the library's own code.
"""
CATALOG = LOCALE / "ru/LC_MESSAGES/messages.po"


@cache
def messages() -> frozenset[str]:
    """Return the first arguments of ``text``, and the messages of the parser and the library."""
    marked = [call.args[0] for call in calls_in(COMMANDS) if name_of(call.func) == "text"]
    return frozenset(str(first.value) for first in marked if isinstance(first, ast.Constant)) | {
        *BY_THE_PARSER,
        *BY_THE_LIBRARY,
        *BY_OTHERS,
    }


def plurals() -> set[str]:
    """Return the first two arguments of ``plural`` in the catalog's form."""
    marked = [call.args[:2] for call in calls_in(COMMANDS) if name_of(call.func) == "plural"]
    return {str(tuple(form.value for form in forms if isinstance(form, ast.Constant))) for forms in marked}


def errors_of_the_library() -> set[str]:
    """Return the templates of the messages of the client's exceptions."""
    made = [call for call in calls_in(COMMANDS / "client") if name_of(call.func).endswith("Error")]
    given = [template for call in made for argument in call.args for template in templates_in(argument)]
    return {template for template in given if " " in template} - {"Not Found"}


def calls_in(folder: Path) -> list[ast.Call]:
    trees = [ast.parse(module.read_text("utf-8")) for module in folder.rglob("*.py")]
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]


def templates_in(argument: ast.expr) -> list[str]:
    """Return a text with ``{}`` in place of each value."""
    if isinstance(argument, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in argument.values)]
    return [argument.value] if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else []


def in_one(forms: object) -> str:
    """Return a message, or its plural forms, in the catalog's form."""
    return str(tuple(forms) if isinstance(forms, list) else forms)


def unnamed(template: str) -> str:
    return re.sub(r"\{\w+\}", "{}", template)


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


@pytest.mark.slow
def test_each_message_with_a_number_has_its_russian_forms() -> None:
    assert len(plurals()) > 5
    assert plurals() - {in_one(pair) for pair in forms_in(CATALOG)} == set()


def test_each_error_of_the_library_is_known_to_the_command_line() -> None:
    known = {unnamed(template) for template in BY_THE_LIBRARY}

    found = errors_of_the_library()

    assert len(found) > 20
    assert {unnamed(template) for template in found} - known == FOR_PROGRAMS


def test_each_help_text_has_a_russian_one(russian: dict[str, str]) -> None:
    assert len(help_texts()) > 150
    assert help_texts() - russian.keys() == set()


def test_a_translation_has_the_values_of_its_message(russian: dict[str, str]) -> None:
    def values(message: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(message) if name}

    assert {message for message in messages() if values(russian[message]) != values(message)} == set()


def test_the_compiled_catalog_is_up_to_date() -> None:
    compiled = compiled_in(CATALOG.with_suffix(".mo"))

    assert compiled == (translations_in(CATALOG), forms_in(CATALOG)), "run `make translations`"


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


@pytest.fixture
def russian_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "ru_RU.UTF-8")


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, "1 задача отменена"), (3, "3 задачи отменены"), (11, "11 задач отменено"), (21, "21 задача отменена")],
)
@pytest.mark.usefixtures("russian_terminal")
def test_a_russian_number_has_its_form(count: int, expected: str) -> None:
    assert plural("{count} task was cancelled", "{count} tasks were cancelled", count) == expected


@pytest.mark.usefixtures("russian_terminal")
def test_a_russian_terminal_shows_yes_and_no_and_one_form_of_dates() -> None:
    moment = datetime(2026, 11, 29, 6, 20, 42, tzinfo=timezone(timedelta(hours=3)))

    values = (True, False, None, moment)

    assert list(map(shown, values)) == ["да", "нет", "-", "2026-11-29 03:20:42 UTC"]


@pytest.mark.usefixtures("russian_terminal")
def test_the_reasons_of_a_failed_run_are_russian() -> None:
    problem = {"type": "urn:pixmill:problem:image-unreadable", "detail": "Файл — не изображение."}
    tasks = [
        Task(id=7, source_id=1, status="error", algorithm="flip", error="The file is not an image.", problem=problem),
        Task(id=8, source_id=2, status="cancelled", algorithm="flip"),
    ]

    assert described(RunFailedError(tasks[:1])) == "1 задача без результата: Файл — не изображение."
    assert described(RunFailedError(tasks)).startswith("2 задачи без результата: ")
    assert described(RunFailedError(tasks)).endswith(" (и ещё 1 причина)")


@pytest.mark.usefixtures("russian_terminal")
def test_an_error_of_the_library_is_russian_with_its_values() -> None:
    assert translated("the answer has no 'ids'; is this a Pixmill?") == "в ответе нет «ids»; это точно Pixmill?"


@pytest.mark.usefixtures("russian_terminal")
def test_of_a_system_error_what_is_known_is_russian() -> None:
    assert translated("[Errno 111] Connection refused") == "[ошибка 111] в соединении отказано"
    assert translated("[Errno 5] Input/output error") == "[ошибка 5] Input/output error"


MISTAKES = {
    "put": "Не хватает аргумента «PATHS…».",
    "lss": "Команды 'lss' нет. Может быть, 'ls'?",
    "ls --nope": "Параметра --nope нет (есть похожие: --since, --type)",
    "ls --limit x": "Неверное значение «--limit»: нужно целое число",
    "put a --parallel 99": "Неверное значение «--parallel»: нужно не больше 16",
    "ls --limit 0": "Неверное значение «--limit»: нужно не меньше 1",
    "ls --limit": "Параметру «--limit» нужно значение.",
    "--version=3": "Параметр «--version» не принимает значения.",
    "ls a b": "Лишние аргументы: b",
    "demo nowhere": "папки «nowhere» нет.",
    "runs show": "Вызов: pixmill runs show [ПАРАМЕТРЫ] RUN",
    "completion install foo": "«foo» не годится, допустимо: 'bash', 'zsh', 'fish', 'powershell'.",
    "rm x": "«x» — не id",
    "presets put a 'resize width' --dry-run": "«width» — не присваивание: пишите имя=значение",
}


@pytest.fixture(scope="module")
def russian_answers() -> dict[str, tuple[str, int]]:
    """Return the output and exit codes of commands with errors and of help in a Russian terminal."""
    program = (
        "import io, json, shlex, sys\n"
        "from contextlib import redirect_stderr, redirect_stdout\n"
        "from pixmill.cli import app\n"
        "answers = {}\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    shown = io.StringIO()\n"
        "    with redirect_stderr(shown), redirect_stdout(shown):\n"
        "        try:\n"
        "            app(shlex.split(words), prog_name='pixmill')\n"
        "        except SystemExit as end:\n"
        "            answers[words] = (' '.join(shown.getvalue().split()), end.code)\n"
        "print(json.dumps(answers))"
    )
    environment = {"LC_ALL": "ru_RU.UTF-8", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": ":".join(sys.path)}
    environment |= {"COLUMNS": "200", "PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    fake_server = json.dumps([*MISTAKES, "--help", "rm --help"])

    run = subprocess.run(
        [sys.executable, "-c", program, fake_server], env=environment, capture_output=True, text=True, check=True
    )

    answers: dict[str, tuple[str, int]] = json.loads(run.stdout)
    return answers


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_on_the_command_line_is_explained_in_russian_and_ends_with_2(
    russian_answers: dict[str, tuple[str, int]], words: str
) -> None:
    shown_text, code = russian_answers[words]

    assert MISTAKES[words] in shown_text
    assert code == Exit.USAGE


def test_russian_help_has_no_english_sentence(russian_answers: dict[str, tuple[str, int]]) -> None:
    shown_text = " ".join(russian_answers[words][0] for words in ("--help", "rm --help"))

    assert "Переместить файлы в корзину" in shown_text
    assert "Примеры:" in shown_text
    assert re.findall(r"Usage|OPTIONS|COMMAND \[|Show |Install |Options|Arguments|Examples", shown_text) == []
