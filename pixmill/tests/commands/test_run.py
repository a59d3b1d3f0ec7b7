"""What Ctrl-C leaves of a run."""

import os
import signal
from collections.abc import Callable
from http.client import OK
from pathlib import Path

import pytest
from pixmill.commands.console import Exit
from typer.testing import Result

from tests.support.answering import Answer, Asked, file_row


@pytest.mark.parametrize(
    ("interrupted", "says"),
    [
        ("/api/file-server/", "no run was begun"),
        ("/api/image-processing/", "the server may have begun a run, and the same command begins another."),
    ],
)
def test_an_interrupt_says_whether_a_run_was_begun(
    asked: Asked, command: Callable[..., Result], interrupted: str, says: str
) -> None:
    def answer(_method: str, path: str, _body: bytes) -> Answer:
        if path == interrupted:
            os.kill(os.getpid(), signal.SIGINT)
        return OK, [] if path.endswith("/presets") else file_row(1) | {"batch_id": 7, "task_ids": [1]}

    Path("a.txt").touch()
    asked.answer = answer

    run = command("run", "flip", "a.txt" if interrupted == "/api/file-server/" else "1")

    assert run.exit_code == Exit.INTERRUPTED
    assert says in " ".join(run.stderr.split())
