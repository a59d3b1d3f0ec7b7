"""Every domain error has an HTTP status."""

import ast
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import file_storage
import image_processor
import pytest
from file_storage.routers.statuses import STATUSES as FILE_STATUSES
from image_processor.statuses import STATUSES as TASK_STATUSES

INVALID_FIELDS = {"invalid-fields"}
"""Kinds that both packages raise through the service kit."""


def kinds_raised(source: Path) -> set[str]:
    """Return the kinds of the domain errors that a module raises, read from its syntax tree."""
    calls = [node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "DomainError"]
    inherited = [call for call in calls if ast.unparse(call.func) == "super().__init__" and call.args]
    kinds = [call.args[0] for call in named + inherited]
    return {str(kind.value) for kind in kinds if isinstance(kind, ast.Constant) and "-" in str(kind.value)}


@pytest.mark.parametrize(
    ("package", "statuses"), [(file_storage, FILE_STATUSES), (image_processor, TASK_STATUSES)], ids=["files", "tasks"]
)
def test_each_kind_of_error_has_a_status_and_each_status_a_kind(
    package: ModuleType, statuses: Mapping[str, int]
) -> None:
    raised = set().union(*map(kinds_raised, Path(package.__path__[0]).rglob("*.py")))

    assert raised | INVALID_FIELDS == statuses.keys()
