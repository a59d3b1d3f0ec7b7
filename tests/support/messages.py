"""Extracts the translatable messages of a package."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Message
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

MARKS = {"sentence": 1, "counted": 2}
"""The functions whose first arguments are messages: the number of these by the name."""
REFUSALS = frozenset(
    {
        "DomainError",
        "FieldError",
        "ForbiddenAddressError",
        "ImageError",
        "Problem",
        "SourceError",
        "UnsuitableImageError",
        "ValueError",
        "_forbidden",
        "_invalid",
        "_unauthorized",
        "_wrong",
        "bad_option",
        "bad_url",
        "forbidden_option",
        "not_renderable",
        "too_large",
        "unsupported",
    }
)
"""Errors, and functions that create them, whose texts users see."""
NAMES_IN_REFUSALS = frozenset({"kind", "pointer", "code", "option"})
"""Arguments of these errors that are not user-visible texts."""


def messages_of(sources: Path) -> set[str]:
    """Return the templates of all sentences in a folder of modules."""
    return {template for call in calls_in(sources) for template in call.templates}


class Call(NamedTuple):
    """A call that creates a sentence.

    :ivar templates: one; for a counted sentence, the singular and the plural.
    :ivar number: the name of the number of a counted sentence.
    """

    templates: Sequence[str]
    number: str | None


def calls_in(sources: Path) -> Sequence[Call]:
    """Return the calls with templates in a folder of modules."""
    return [found for module in sources.rglob("*.py") for found in _marked(ast.parse(module.read_text("utf-8")))]


def _marked(tree: ast.AST) -> Iterator[Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
            texts = [str(text.value) for text in node.args if isinstance(text, ast.Constant)]
            number = MARKS[node.func.id]
            if texts:
                yield Call(texts[:number], texts[number] if number > 1 else None)


def untranslatable_in(sources: Path) -> set[tuple[str, str]]:
    """Return the plain strings with which a folder's modules create errors, each with its module's path.

    These cannot be translated.
    """
    return {
        (module.relative_to(sources).as_posix(), found)
        for module in sources.rglob("*.py")
        for found in _plain_texts(ast.parse(module.read_text("utf-8")))
    }


def _plain_texts(tree: ast.AST) -> Iterator[str]:
    texts = defaultdict[str, list[ast.expr]](list)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            texts[node.targets[0].id].append(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name_of(node.func) in REFUSALS:
            named = [keyword.value for keyword in node.keywords if keyword.arg not in NAMES_IN_REFUSALS]
            for argument in [*node.args, *named]:
                values = texts[argument.id] if isinstance(argument, ast.Name) else [argument]
                for value in values:
                    yield from filter(_has_words, map(ast.unparse, _plain_in(value)))


def _plain_in(value: ast.expr) -> Iterator[ast.expr]:
    if isinstance(value, ast.IfExp):
        yield from (*_plain_in(value.body), *_plain_in(value.orelse))
    elif isinstance(value, ast.BinOp):
        yield from (*_plain_in(value.left), *_plain_in(value.right))
    elif isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and isinstance(value.value, str)):
        yield value


def _has_words(text: str) -> bool:
    return " " in text


def _name_of(function: ast.expr) -> str:
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def translations_in(catalog: Path) -> dict[tuple[str, str], str]:
    """Return the translations in a ``.po`` file by context and message, without those that need a review.

    The singular of a counted message has the first form, and the plural has the last.
    """
    return _translations(_messages(catalog))


def forms_in(catalog: Path) -> dict[tuple[str, str], Sequence[str]]:
    """Return the plural forms of the counted messages in a ``.po`` file by singular and plural."""
    return _forms(_messages(catalog))


def compiled_in(catalog: Path) -> tuple[Mapping[tuple[str, str], str], Mapping[tuple[str, str], Sequence[str]]]:
    """Return from a ``.mo`` file what :func:`translations_in` and :func:`forms_in` return from its source."""
    with catalog.open("rb") as file:
        read = [message for message in read_mo(file) if message.id]
    return _translations(read), _forms(read)


def _messages(catalog: Path) -> Sequence[Message]:
    with catalog.open("rb") as file:
        return [message for message in read_po(file) if message.id and message.string and not message.fuzzy]


def _translations(messages: Iterable[Message]) -> dict[tuple[str, str], str]:
    found = {}
    for message in messages:
        ids, forms = _all(message.id), _all(message.string)
        found[message.context or "", ids[0]] = forms[0]
        found[message.context or "", ids[-1]] = forms[-1]
    return found


def _forms(messages: Sequence[Message]) -> dict[tuple[str, str], Sequence[str]]:
    counted = [_all(message.id) for message in messages if message.pluralizable]
    forms = [_all(message.string) for message in messages if message.pluralizable]
    return {(ids[0], ids[1]): strings for ids, strings in zip(counted, forms, strict=True)}


def _all(texts: object) -> Sequence[str]:
    """Return the texts of a message of babel, which is one text or several."""
    return [str(text) for text in texts] if isinstance(texts, list | tuple) else [str(texts)]
