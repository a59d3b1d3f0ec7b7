"""``docs/rendering.md`` lists every option of every dialect with its state, in both languages."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from image_processor.render.problems import STATUSES

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[3] / "docs"
ROWS = {
    "bad-render-url": 0,
    "bad-render-option": 0,
    "unsupported-render-option": 1,
    "forbidden-render-option": 2,
    "wrong-render-signature": 3,
    "expired-render-url": 4,
}


@pytest.mark.parametrize("page", ["rendering.md", "ru/rendering.md"])
def test_the_tables_are_up_to_date(page: str, tmp_path: Path) -> None:
    (tmp_path / "ru").mkdir()
    for name in ("rendering.md", "ru/rendering.md"):
        shutil.copy(DOCS / name, tmp_path / name)

    subprocess.run([sys.executable, DOCS / "rendering.py", tmp_path], check=True)

    assert (DOCS / page).read_text("utf-8") == (tmp_path / page).read_text("utf-8"), "run `make docs`"


@pytest.mark.parametrize("page", ["rendering.md", "ru/rendering.md"])
def test_the_statuses_are_those_of_the_code(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    table = [line for line in text.splitlines() if line.endswith(("400 |", "404 |", "403 |", "422 |"))]

    for kind, row in ROWS.items():
        printed = [int(cell) for cell in table[row].strip("|").split("|")[1:]]
        assert printed == [STATUSES[name][kind] for name in ("native", "thumbor", "imagor", "imgproxy")], kind
