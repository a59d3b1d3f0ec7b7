"""``docs/algorithms.md`` is up to date with the code."""

import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    subprocess.run([sys.executable, DOCS / "build.py", folder], check=True)
    return folder


def test_the_page_is_up_to_date(made: Path) -> None:
    shown, now = ((folder / "algorithms.md").read_text("utf-8") for folder in (DOCS, made))

    assert shown == now, "run `make docs`"


def test_the_pictures_are_up_to_date(made: Path) -> None:
    shown, now = ({path.name: path for path in (folder / "algorithms").iterdir()} for folder in (DOCS, made))

    assert shown.keys() == now.keys()
    for name, path in shown.items():
        before, after = (
            numpy.asarray(Image.open(picture).convert("RGBA")).astype(int) for picture in (path, now[name])
        )
        assert before.shape == after.shape, name
        # Another processor may round differently.
        assert numpy.abs(before - after).mean() < 1, f"{name}: run `make docs`"
