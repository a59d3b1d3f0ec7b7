"""Virtual environments of their own for programs that need other package versions than the tests."""

import subprocess
import sys
from pathlib import Path

from tests.support.environment import PROJECT


def make_environment(folder: Path, requirements: str) -> Path:
    """Install a locked requirements file, by its name in ``requirements/``; return the folder of the programs."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=300)
    locked = ["--quiet", "--require-hashes", "-r", str(PROJECT / "requirements" / requirements)]
    subprocess.run([folder / "bin/pip", "install", *locked], check=True, timeout=500)
    return folder / "bin"
