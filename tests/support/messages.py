"""Extracts the translatable messages of a package."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from babel.messages.pofile import read_po

MARK = "sentence"
"""The function whose first argument is a message."""
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
    return {found for module in sources.rglob("*.py") for found in _marked(ast.parse(module.read_text("utf-8")))}


def _marked(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == MARK:
            first = node.args[0]
            if isinstance(first, ast.Constant):
                yield str(first.value)


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
    """Return the translations in a ``.po`` file by context and message, without those that need a review."""
    with catalog.open("rb") as file:
        return {
            (message.context or "", str(message.id)): str(message.string)
            for message in read_po(file)
            if message.id and message.string and not message.fuzzy
        }
