"""Pyright accepts programs that use the client."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.environment import PROJECT
from tests.support.locked_environments import make_environment

pytestmark = pytest.mark.thorough

PROGRAM = PROJECT / "pixmill/tests/client/every_function.py"
DOCS = PROJECT / "docs/client.md"
WRONG = """
from pixmill import Pixmill

with Pixmill() as px:
    px.files.upload("a.jpg", comment=7)
    print(px.files.get(1).nam)
"""


@pytest.fixture(scope="module")
def pyright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_environment(tmp_path_factory.mktemp("pyright"), "pyright.txt") / "pyright"


def findings(pyright: Path, folder: Path) -> list[Mapping[str, object]]:
    """Return the errors and warnings about the programs in a folder."""
    command = [str(pyright), "--outputjson", "--pythonpath", sys.executable, str(folder)]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    found = json.loads(run.stdout)
    assert found["summary"]["filesAnalyzed"] == len(list(folder.iterdir()))
    diagnostics: list[Mapping[str, object]] = found["generalDiagnostics"]
    return diagnostics


def test_programs_that_use_every_function_and_those_of_the_docs_have_no_error(pyright: Path, tmp_path: Path) -> None:
    (tmp_path / "every_function.py").write_text(PROGRAM.read_text("utf-8"), "utf-8")
    for number, block in enumerate(blocks := re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)):
        (tmp_path / f"block_{number}.py").write_text(block, "utf-8")

    assert len(blocks) > 5
    assert findings(pyright, tmp_path) == []


def test_a_program_with_wrong_types_has_errors(pyright: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG, "utf-8")

    rules = [found["rule"] for found in findings(pyright, tmp_path)]

    assert rules == ["reportArgumentType", "reportAttributeAccessIssue"]
