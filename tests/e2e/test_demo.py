"""The command ``pixmill demo``."""

import subprocess
from pathlib import Path

import pytest

from tests.support.environment import ENVIRONMENT, SCRIPTS
from tests.support.images import opened, photo
from tests.support.stacks import FullStack


def demo(photos: Path, url: str, output: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(SCRIPTS / "pixmill"), "demo", str(photos), "--url", url, "--output", str(output)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "one.jpg").write_bytes(photo(640, 480, format="JPEG"))
    return folder


def test_photographs_are_resized_and_flipped(full: FullStack, photos: Path, tmp_path: Path) -> None:
    run = demo(photos, full.url, tmp_path / "out")

    assert (run.returncode, "2 of 2 tasks finished" in run.stderr) == (0, True), run.stdout + run.stderr
    assert sorted(run.stdout.splitlines()) == sorted(map(str, (tmp_path / "out").iterdir()))
    sizes = sorted(opened(path.read_bytes()).size for path in (tmp_path / "out").iterdir())
    assert sizes == [(320, 240), (640, 480)]


@pytest.mark.parametrize("folder", ["nowhere", "photos/one.jpg"])
def test_a_path_that_is_not_a_folder_is_refused(photos: Path, tmp_path: Path, folder: str) -> None:
    run = demo(tmp_path / folder, "http://127.0.0.1:1", tmp_path / "out")

    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert "Invalid value for 'PHOTOS'" in run.stderr
