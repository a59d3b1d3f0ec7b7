"""Locks between programs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pixmill.client.locks import locked

from pixmill import InUseError

HOLDER = """
import sys
from pathlib import Path
from pixmill.client.locks import locked
with locked(Path(sys.argv[1]), "held"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_of_another_program_is_refused_until_that_program_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "inner" / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"

        with pytest.raises(InUseError, match="somebody syncs this folder"), locked(path, "somebody syncs this folder"):
            pass

        other.kill()
    with locked(path, "still held"):
        assert path.exists()


def test_a_lock_leaves_no_file(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "lock", "held"):
            assert os.listdir(tmp_path) == ["lock"]

    assert list(tmp_path.iterdir()) == []
