"""The output of a server during and after its start, and the part that the terminal shows."""

import os
from pathlib import Path

import pytest
from pixmill.start_log import start_log

from tests.support.waiting import wait_until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "start.log"


def test_text_of_the_start_goes_to_the_file_and_events_to_the_terminal(
    path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with start_log(path) as (log, output):
        os.write(output, b'spawned worker 1\n{"event": "sandbox"}\n')
        wait_until(lambda: path.read_bytes() == b"spawned worker 1\n", "the text is in the file")
        log.ready()

    assert capfdbinary.readouterr().err == b'{"event": "sandbox"}\n'


def test_text_after_the_start_goes_to_the_terminal(path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with start_log(path) as (log, output):
        log.ready()
        os.write(output, b"worker 1 died, respawning\nWSGI app 0 ready in 2 seconds\n")

    assert capfdbinary.readouterr().err == b"worker 1 died, respawning\n"


def test_a_start_that_fails_shows_its_text(path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with start_log(path) as (_, output):
        os.write(output, b"no module named nothing\n")

    assert capfdbinary.readouterr().err == b"no module named nothing\n"


def test_each_start_begins_a_new_file(path: Path) -> None:
    path.write_bytes(b"the start before\n")

    with start_log(path) as (log, _):
        log.ready()

    assert path.read_bytes() == b""
