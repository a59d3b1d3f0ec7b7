"""The start of a worker's process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_the_start_creates_the_scratch_folder(tmp_path: Path) -> None:
    scratch = tmp_path / "a/scratch"
    (tmp_path / "conf.yml").touch()
    environment = {
        "WORKER_CONFIG": str(tmp_path / "conf.yml"),
        "WORKER_DATABASE__URL": f"sqlite:///{tmp_path}/tasks.db",
        "WORKER_BROKER__URL": "memory://",
        "WORKER_SCRATCH_FOLDER": str(scratch),
        "PIXMILL_WORKER_INNER_SECRET": "a-secret-of-inner-calls-in-tests-only",
    }

    subprocess.run(
        [sys.executable, "-c", "import image_processor.worker"], env={**os.environ, **environment}, check=True
    )

    assert scratch.is_dir()
