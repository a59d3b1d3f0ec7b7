"""Schemathesis: the services behave as their OpenAPI documents describe."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.client import FILES, TASKS
from tests.support.stacks import Stack

SCRIPT = Path(sys.executable).parent / "schemathesis"
PLACES: dict[str, list[str | Path]] = {
    FILES: ["--config-file", Path(__file__).with_name("file_server_schemathesis.toml")],
    TASKS: ["--config-file", Path(__file__).with_name("image_processing_schemathesis.toml")],
}
# The event stream never ends. Whether steps suit a file and each other shows only when they are planned and run.
# Requests of a resumable upload depend on each other; tests/e2e/test_tus_clients.py sends them.
EXCLUDED = ("/events", "/preview", "/render-urls", "/uploads/", "/uploads/{upload_id}")
OPTIONS = (
    "--seed",
    "1",
    "--no-color",
    "--request-timeout",
    "60",
    *(part for path in EXCLUDED for part in ("--exclude-path", path)),
)
# The boundaries of all parameters of 57 algorithms take thousands of requests, so only the thorough run tests them.
A_FEW_EXAMPLES = ("--phases", "examples,fuzzing", "--max-examples", "4")


def assert_schemathesis_finds_nothing(stack: Stack, place: str, folder: Path, *options: str) -> None:
    run = subprocess.run(
        [SCRIPT, *PLACES[place], "run", f"{stack.url}{place}/openapi.json", *OPTIONS, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-1000:]


@pytest.mark.parametrize("place", PLACES)
def test_schemathesis_finds_nothing_in_a_few_examples(stack: Stack, place: str, tmp_path: Path) -> None:
    assert_schemathesis_finds_nothing(stack, place, tmp_path, *A_FEW_EXAMPLES)


@pytest.mark.thorough
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("place", PLACES)
def test_schemathesis_finds_nothing(stack: Stack, place: str, tmp_path: Path) -> None:
    assert_schemathesis_finds_nothing(stack, place, tmp_path, "--max-examples", "20")
