"""Finds the places in the sources that execute SQL, and those that executed a statement.

``session.add`` and ``session.delete`` are not among them, because they execute nothing. The session's flush does, which
is a place of its own or the end of a block: it inserts one row, or deletes one by primary key, and reads no other row.
Its triggers and foreign keys may read more. PostgreSQL reports their plans with those of all statements, and
:mod:`tests.e2e.test_plans` checks that a deletion finds the rows that refer to the deleted one by an index.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import file_storage
import image_processor
import service_kit

SOURCES = {
    package.__name__: Path(str(package.__file__)).parent for package in (file_storage, image_processor, service_kit)
}
EXECUTING = {"execute", "scalar", "scalars", "exec_driver_sql"}
OF_SESSIONS = {"get", "flush", "refresh"}
"""Methods that execute statements if they belong to a session of SQLAlchemy."""


class Site(NamedTuple):
    """A call that executes a statement.

    :ivar module: the path of the file, below the folder of the sources.
    :ivar function: the names of the classes and functions around the call.
    :ivar source: the call, as :mod:`ast` formats it.
    """

    module: str
    function: str
    source: str
    first_line: int
    last_line: int


def sites() -> list[Site]:
    """Return all calls of the sources that execute statements, except those of migrations."""
    return [
        site
        for folder in SOURCES.values()
        for path in sorted(folder.rglob("*.py"))
        if "migrations" not in path.parts
        for site in _sites_below(ast.parse(path.read_text("utf-8")), _name_of(path), "")
    ]


def executing_lines() -> set[tuple[str, int]]:
    """Return the file and line of each function of the sources that is being called now."""
    found = set()
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if (module := _module_of(frame.f_code.co_filename)) is not None:
            found.add((module, frame.f_lineno))
        frame = frame.f_back
    return found


@cache
def _module_of(filename: str) -> str | None:
    path = Path(filename)
    return _name_of(path) if any(path.is_relative_to(folder) for folder in SOURCES.values()) else None


def _name_of(path: Path) -> str:
    [name] = [str(path.relative_to(folder.parent)) for folder in SOURCES.values() if path.is_relative_to(folder)]
    return name


def _sites_below(node: ast.AST, module: str, function: str) -> Iterator[Site]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and _executes(child):
            yield Site(module, function, ast.unparse(child), child.lineno, child.end_lineno or child.lineno)
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _sites_below(child, module, f"{function}.{child.name}".lstrip("."))
        else:
            yield from _sites_below(child, module, function)


def _executes(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    owner = ast.unparse(call.func.value)
    return call.func.attr in EXECUTING or (call.func.attr in OF_SESSIONS and owner.endswith("session"))
