"""Runs the command line in a separate process without loading the code again: it is forked from a loaded process."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_PROGRAM = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({place!r})
    socket.send_fds(server, [b"+"], [0, 1, 2])
    server.sendall(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode())
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(10)))
"""
"""Lets a server run the command with the arguments, the environment, the folder and the open files of this program."""

_CHILDREN = multiprocessing.get_context("fork")
_FORKS = multiprocessing.get_context("forkserver")
# The first request loads httpcore2, and every backend that is installed.
_FORKS.set_forkserver_preload(["pixmill.cli", "httpx2", "httpcore2", __name__])


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


@contextmanager
def forking_program() -> Iterator[Path]:
    """Yield a folder with a program ``pixmill`` for scripts; it starts as quickly as :func:`run_command`."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        place, program = Path(folder, "socket"), Path(folder, "pixmill")
        listening.bind(str(place))
        listening.listen()
        program.write_text(_PROGRAM.format(python=sys.executable, place=str(place)), "utf-8")
        program.chmod(0o700)
        server = _FORKS.Process(target=_serve, args=(listening,))
        server.start()
        try:
            yield Path(folder)
        finally:
            server.kill()
            server.join()


def _serve(listening: socket.socket) -> None:
    while True:
        client, _ = listening.accept()
        _CHILDREN.Process(target=_answer, args=(client,)).start()
        client.close()


def _answer(client: socket.socket) -> None:
    """Run the command that a program wants, and send its exit code."""
    _, descriptors, _, _ = socket.recv_fds(client, 1, 3)
    with client.makefile("rb") as request:
        words, environment, folder = json.load(request)
    command = _CHILDREN.Process(target=_run_with, args=(words, environment, folder, descriptors))
    command.start()
    for descriptor in descriptors:
        os.close(descriptor)
    command.join()
    client.sendall(str(command.exitcode).encode())


def _run(words: list[str], environment: dict[str, str], folder: Path, paths: list[Path]) -> None:
    opened = [os.open(path, os.O_RDONLY if n == 0 else os.O_WRONLY | os.O_CREAT) for n, path in enumerate(paths)]
    _run_with(words, environment, folder, opened)


def _run_with(words: list[str], environment: dict[str, str], folder: str | Path, descriptors: list[int]) -> None:
    """Run the command with these files as standard input, output and error."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, opened in enumerate(descriptors):
        os.dup2(opened, number)
        os.close(opened)
    # multiprocessing has replaced sys.stdin.
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.argv = ["pixmill", *words]
    from pixmill.cli import app

    app()
