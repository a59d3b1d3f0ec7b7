"""The pages of defaults match the code."""

import json
import re
from pathlib import Path

import pytest
from image_processor.algorithms.registry import all_algorithms
from image_processor.algorithms.watermark import TextMark
from image_processor.imaging.output import DEFAULT_QUALITY, Output
from pydantic import BaseModel

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"^\| `([\w.]+)` \| `(\w+)` \| `(.+?)` \| (.+) \|$", re.MULTILINE)
PAGES = ["defaults.md", "ru/defaults.md"]


def rows(page: str) -> list[tuple[str, str, str]]:
    return [(where, name, value) for where, name, value, _ in ROW.findall((DOCS / page).read_text("utf-8"))]


def model(where: str) -> type[BaseModel]:
    others: dict[str, type[BaseModel]] = {"output": Output, "watermark.mark": TextMark}
    return others[where] if where in others else all_algorithms()[where].params


@pytest.mark.parametrize("page", PAGES)
def test_the_table_has_the_defaults_of_the_code(page: str) -> None:
    found = rows(page)

    assert len(found) > 25
    said = {(where, name): json.loads(value) for where, name, value in found}
    assert said == {(where, name): model(where).model_fields[name].default for where, name, _ in found}


def test_both_languages_have_the_same_rows() -> None:
    english, russian = (rows(page) for page in PAGES)

    assert english == russian


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_have_the_qualities_of_the_code(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")

    for written, quality in DEFAULT_QUALITY.items():
        name = {"jpeg": "JPEG", "webp": "WebP", "avif": "AVIF"}[written]
        assert f"{name} {quality}" in text
