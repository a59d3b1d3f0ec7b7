"""``scripts/check-prose`` checks comments, docstrings and texts, and ignores code."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environment import PROJECT


def found(path: Path) -> list[str]:
    """Return the lines with a fault."""
    command = [sys.executable, str(PROJECT / "scripts/check-prose"), str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.removeprefix(f"{path}:") for line in run.stdout.splitlines()]
    assert run.returncode == bool(lines), run.stderr
    return lines


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("page.md", "A client is to" + "ld.\n", ["1"]),
        ("page.md", "Fine.\n\n```sh\nwhat" + "ever --be" + "side\n```\n\nDone an" + "ew.\n", ["7"]),
        ("page.md", "The parameter `col" + "our`, and [a link](col" + "our.md).\n", []),
        ("module.py", '"""Return all.\n\nWho' + 'ever asks.\n"""\n', ["3"]),
        ("module.py", "x = 1  # be" + "side it\n", ["1"]),
        ("module.py", "besides = 'col" + "our'\n", []),
        ("module.py", "for on" + "e in (1, 2):\n    pass\n", ["1"]),
    ],
)
def test_faults_are_found_by_line(tmp_path: Path, name: str, text: str, lines: list[str]) -> None:
    (tmp_path / name).write_text(text)

    assert [fault.split(":")[0] for fault in found(tmp_path / name)] == lines
