"""A supervised child, whose launcher runs in a separate process and is stopped or killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import STATE_SECONDS, wait_until

pytestmark = pytest.mark.slow

LAUNCHER = """
import sys
from pathlib import Path
from pixmill.supervision import supervised

with supervised(["sh", "-c", sys.argv[1]], Path("."), {"PATH": sys.argv[2]}, stop_seconds=3) as child:
    code = child.process.wait()
sys.exit(f"{code} {child.stop_requested}")
"""


class Launcher:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, script: str) -> None:
        """Start a shell that runs the script; return at once."""
        command = [sys.executable, "-c", LAUNCHER, script, os.defpath]
        self.popen = subprocess.Popen(command, cwd=self.folder, stderr=subprocess.PIPE, text=True)

    def start(self, script: str) -> None:
        """Start the script and wait until it has created the file ``ready``."""
        self.begin(script)
        wait_until((self.folder / "ready").exists, "the script is ready")

    def outcome(self) -> str:
        """Return the child's exit code and whether a stop was requested."""
        return self.popen.communicate(timeout=STATE_SECONDS)[1].strip()

    def left(self) -> list[psutil.Process]:
        """Return the processes that are still running in its folder."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cwd() == str(self.folder):
                    found.append(process)
        return found


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path)
    yield launcher
    launcher.popen.kill()
    launcher.popen.communicate()
    for process in launcher.left():
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_child_gets_sigterm(launcher: Launcher, number: int) -> None:
    launcher.start("trap 'touch stopped; exit 7' TERM; touch ready; while true; do sleep 0.01; done")

    launcher.popen.send_signal(number)

    assert launcher.outcome() == "7 True"
    assert (launcher.folder / "stopped").exists()


def test_a_child_that_ends_by_itself_leaves_no_daemon(launcher: Launcher) -> None:
    launcher.start("setsid sleep 100 & setsid sh -c 'sleep 100 & sleep 100' & touch ready; exit 3")

    assert launcher.outcome() == "3 False"
    assert launcher.left() == []


def test_a_child_that_ignores_the_first_signal_gets_another(launcher: Launcher) -> None:
    launcher.start("trap '' TERM; touch ready; sleep 0.5; trap 'exit 7' TERM; while true; do sleep 0.01; done")

    launcher.popen.terminate()

    assert launcher.outcome() == "7 True"


@pytest.mark.slow
def test_a_child_that_ignores_the_signal_is_killed(launcher: Launcher) -> None:
    launcher.start("trap '' TERM; setsid sleep 100 & touch ready; while true; do sleep 0.01; done")

    launcher.popen.terminate()

    assert launcher.outcome() == "-9 True"
    assert launcher.left() == []


def test_a_daemon_does_not_outlive_a_child_that_was_killed(launcher: Launcher) -> None:
    launcher.start("setsid sleep 100 & touch ready; kill -9 $$")

    assert launcher.outcome() == "-9 False"
    assert launcher.left() == []


def test_a_child_gets_sigterm_when_the_launcher_dies(launcher: Launcher) -> None:
    launcher.start("trap 'touch stopped; exit' TERM; touch ready; while true; do sleep 0.01; done")

    launcher.popen.kill()

    wait_until(lambda: not launcher.left(), "no process is left")
    assert (launcher.folder / "stopped").exists()


@pytest.mark.slow
@pytest.mark.parametrize("milliseconds", range(0, 400, 20))
def test_a_signal_during_the_start_leaves_nothing(launcher: Launcher, milliseconds: int) -> None:
    launcher.begin("setsid sleep 100 & sleep 100")
    time.sleep(milliseconds / 1000)

    launcher.popen.terminate()

    launcher.popen.wait(STATE_SECONDS)
    assert launcher.left() == []
