"""The tables of the algorithms by purpose match the code."""

import re
from pathlib import Path

import pytest
from image_processor.algorithms.registry import all_algorithms

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"^\| (\w+) \| (`\w+`.+) \|$")
PURPOSES = {
    "api/output.md": ["geometry", "color", "detail", "composing", "faces", "encoding", "analysis"],
    "ru/api/output.md": ["геометрия", "цвет", "детали", "композиция", "лица", "кодирование", "анализ"],
}


@pytest.mark.parametrize("page", PURPOSES)
def test_each_algorithm_is_in_the_row_of_its_category(page: str) -> None:
    table = (DOCS / page).read_text("utf-8").partition("\n| --- | --- |\n")[2].partition("\n\n")[0]
    rows = [row for row in map(ROW.match, table.splitlines()) if row]
    # What stands in parentheses explains an algorithm, such as the ways in which `resize` fits.
    said = {row[1]: sorted(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", row[2]))) for row in rows}

    english = PURPOSES["api/output.md"]
    categories = dict(zip(english, PURPOSES[page], strict=True))
    known: dict[str, list[str]] = {}
    for name, algorithm in sorted(all_algorithms().items()):
        known.setdefault(categories[algorithm.category], []).append(name)
    assert said == known
