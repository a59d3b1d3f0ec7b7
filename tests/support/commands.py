"""Runs the command line in a separate process without loading the code again: it is forked from a loaded process."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pixmill.cli", "httpx2", __name__])


def run_command(
    words: Sequence[str], environment: Mapping[str, str], folder: Path, stdin: str = "", seconds: float = 120
) -> "subprocess.CompletedProcess[str]":
    """Run ``pixmill`` with these words.

    This does not test the start of the program, and texts are in the language of the tests' environment.
    """
    with tempfile.TemporaryDirectory() as place:
        paths = [Path(place, name) for name in ("stdin", "stdout", "stderr")]
        paths[0].write_text(stdin, "utf-8")
        process = _FORKS.Process(target=_run, args=(list(words), dict(environment), folder, paths))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(["pixmill", *words], seconds)
        stdout, stderr = (path.read_text("utf-8") for path in paths[1:])
        return subprocess.CompletedProcess(["pixmill", *words], process.exitcode, stdout, stderr)


def _run(words: list[str], environment: dict[str, str], folder: Path, paths: list[Path]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, path in enumerate(paths):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    # multiprocessing has replaced sys.stdin.
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.argv = ["pixmill", *words]
    from pixmill.cli import app

    app()
