"""The messages of a package that its catalogs translate."""

import ast
from collections.abc import Iterator
from pathlib import Path

from babel.messages.pofile import read_po

MARK = "sentence"
"""The function whose first argument is a message."""


def messages_of(sources: Path) -> set[str]:
    """Return the templates of all sentences in a folder of modules."""
    return {found for module in sources.rglob("*.py") for found in _marked(ast.parse(module.read_text("utf-8")))}


def _marked(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == MARK:
            first = node.args[0]
            if isinstance(first, ast.Constant):
                yield str(first.value)


def translations_in(catalog: Path) -> dict[tuple[str, str], str]:
    """Return the translations in a ``.po`` by context and message; without those that need a review."""
    with catalog.open("rb") as file:
        return {
            (message.context or "", str(message.id)): str(message.string)
            for message in read_po(file)
            if message.id and message.string and not message.fuzzy
        }
