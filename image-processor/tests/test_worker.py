"""The start of a worker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def start(tmp_path: Path, scratch: Path) -> "subprocess.CompletedProcess[str]":
    """Import the module that Celery runs, with this folder for sources and results."""
    (tmp_path / "conf.yml").touch()
    environment = {
        "WORKER_CONFIG": str(tmp_path / "conf.yml"),
        "WORKER_DATABASE__URL": f"sqlite:///{tmp_path}/tasks.db",
        "WORKER_BROKER__URL": "memory://",
        "WORKER_SCRATCH_FOLDER": str(scratch),
        "PIXMILL_WORKER_INNER_SECRET": "a-secret-of-inner-calls-in-tests-only",
    }
    command = [sys.executable, "-c", "import image_processor.worker"]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_the_start_creates_the_scratch_folder(tmp_path: Path) -> None:
    started = start(tmp_path, tmp_path / "a/scratch")

    assert started.returncode == 0, started.stderr
    assert (tmp_path / "a/scratch").is_dir()


def test_a_scratch_folder_that_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    started = start(tmp_path, tmp_path / "file/scratch")

    assert started.returncode == 2
    [line] = started.stderr.splitlines()
    assert line.startswith(f"pixmill: scratch_folder {tmp_path}/file/scratch cannot be created: ")
