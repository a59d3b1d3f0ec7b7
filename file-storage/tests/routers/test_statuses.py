"""Every error of the rules has a status."""

import ast
from pathlib import Path

import file_storage
from file_storage.routers.statuses import STATUSES

SOURCES = [
    path for room in ("services", "storage", "sending") for path in Path(file_storage.__path__[0], room).glob("*.py")
]


def kinds_raised(source: Path) -> set[str]:
    """Return the kinds of the domain errors that a module makes, by its syntax tree."""
    calls = [node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "DomainError"]
    inherited = [call for call in calls if ast.unparse(call.func) == "super().__init__" and call.args]
    kinds = [call.args[0] for call in named + inherited]
    return {str(kind.value) for kind in kinds if isinstance(kind, ast.Constant)}


def test_each_kind_of_error_has_a_status_and_each_status_a_kind() -> None:
    raised = set().union(*map(kinds_raised, SOURCES))

    assert raised == STATUSES.keys()
