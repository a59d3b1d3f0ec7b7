"""Runs the docker-compose commands of the docs as printed."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.client import FILES, TASKS, Served, http, is_ready, processed_bytes
from tests.support.documents import Block, all_blocks, assert_runs, is_translation
from tests.support.environment import PROJECT
from tests.support.images import photo
from tests.support.processes import Process
from tests.support.waiting import wait_until

PRINTED = [block for block in all_blocks() if block.is_run and block.needs_compose and not is_translation(block)]
STARTS = [block for block in PRINTED if re.match("docker-compose up (?!.*--detach)", block.text)]
BACKUP = [block for block in PRINTED if block.page == "docs/operations/backup.md"]
OTHERS = [block for block in PRINTED if block not in [*STARTS, *BACKUP]]


@pytest.fixture
def environment() -> dict[str, str]:
    """Return the environment in which a command works on the running stack from any folder."""
    return {**os.environ, "COMPOSE_FILE": str(PROJECT / "docker-compose.yml")}


def await_ready() -> None:
    wait_until(
        lambda: all(is_ready(f"{os.environ['PIXMILL_URL']}{place}") for place in (FILES, TASKS)), "both are ready"
    )


def listed() -> list[object]:
    return [http.get(f"{os.environ['PIXMILL_URL']}{place}/").raise_for_status().json() for place in (FILES, TASKS)]


@pytest.mark.parametrize("block", OTHERS, ids=str)
def test_a_block_runs_as_printed(block: Block, environment: dict[str, str], tmp_path: Path) -> None:
    assert_runs(block, tmp_path, environment, seconds=500)

    await_ready()


def test_the_command_in_the_readme_starts_the_stack(environment: dict[str, str], tmp_path: Path) -> None:
    [start] = STARTS
    process = Process("compose", ["bash", "-c", start.text], environment, tmp_path / "log")
    process.wait_until(lambda: "Attaching to" in process.log.read_text())
    await_ready()
    # Use SIGKILL: after SIGTERM it would stop the containers.
    os.killpg(process.popen.pid, signal.SIGKILL)
    process.popen.wait()


def test_a_backup_is_restored(pixmill: Served, environment: dict[str, str], tmp_path: Path) -> None:
    backup, restore = BACKUP
    processed_bytes(pixmill, photo(80, 60), "kept.png", "flip")
    before = listed()

    assert_runs(backup, tmp_path, environment, seconds=500)
    down = ["docker-compose", "down", "--volumes", "--timeout", "15"]
    subprocess.run(down, env=environment, check=True, capture_output=True)
    assert_runs(restore, tmp_path, environment, seconds=500)

    await_ready()
    assert listed() == before
