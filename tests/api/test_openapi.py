"""Schemathesis: what the OpenAPI documents say is what the services do."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.client import FILES, TASKS
from tests.stacks import Stack

SCRIPT = Path(sys.executable).parent / "schemathesis"
FILES_CONFIG = Path(__file__).with_name("file_server_schemathesis.toml")
# The event stream never ends.
OPTIONS = ("--max-examples", "20", "--seed", "1", "--no-color", "--exclude-path", "/events")


# Each boundary of each parameter of each algorithm is tried.
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("place", "config"), [(FILES, ["--config-file", FILES_CONFIG]), (TASKS, [])])
def test_schemathesis_finds_nothing(stack: Stack, place: str, config: list[str | Path], tmp_path: Path) -> None:
    run = subprocess.run(
        [SCRIPT, *config, "run", f"{stack.url}{place}/openapi.json", *OPTIONS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-1000:]
