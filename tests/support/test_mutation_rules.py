"""The mutations of ``make test-all`` match the sources and name tests of ``make test``."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.mutations.rules import MUTATIONS, Mutation
from tests.support.environment import PROJECT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_a_mutation_matches_its_source(mutation: Mutation) -> None:
    assert (PROJECT / mutation.file).read_text("utf-8").count(mutation.before) == 1


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_a_mutation_names_quick_tests(mutation: Mutation) -> None:
    for test in mutation.caught_by.split():
        path, _, name = test.partition("::")
        functions = decorators_of(PROJECT / path)

        assert not name or name.partition("[")[0] in functions
        assert "thorough" not in functions.get(name.partition("[")[0], "")


@cache
def decorators_of(path: Path) -> dict[str, str]:
    """Return the decorators of the module's functions, by their names."""
    tree = ast.parse(path.read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {function.name: " ".join(map(ast.unparse, function.decorator_list)) for function in functions}
