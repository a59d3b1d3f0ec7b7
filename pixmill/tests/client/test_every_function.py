"""The program for type checkers uses every function of the client."""

import ast
import inspect
from pathlib import Path

import pytest
from pixmill.client import asynchronous, sync

from tests.support.environment import PROJECT

PROGRAM = PROJECT / "pixmill/tests/client/every_function.py"
CLASSES = [
    member
    for module in (sync, asynchronous)
    for name, member in vars(module).items()
    if inspect.isclass(member) and member.__module__ == module.__name__ and not name.startswith("_")
]


def names_used_in(program: Path) -> set[str]:
    """Return the names of the attributes that a program accesses."""
    tree = ast.parse(program.read_text("utf-8"))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("offered", CLASSES, ids=lambda offered: offered.__name__)
def test_the_program_uses_each_public_function(offered: type) -> None:
    # A `with` block calls close.
    public = {name for name in vars(offered) if not name.startswith("_")} - {"close"}

    assert public
    assert public - names_used_in(PROGRAM) == set()
