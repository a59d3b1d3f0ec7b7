"""The fuzzing seeds contain each format that the docs name as read."""

import re
from pathlib import Path

import pytest
from image_processor.services.codec.decoding import ImageLimits, decode

from tests.fuzz.seeds import seeds, write
from tests.support.environment import PROJECT

FORMATS = {"JPEG 2000": "jp2", "JPEG XL": "jxl", "HEIF": "heic"}
"""Formats that the codec names differently from the docs."""


def names_in_docs() -> set[str]:
    page = (PROJECT / "docs/api/output.md").read_text()
    sources = page.partition("\n## Sources\n")[2].partition(". The parameter")[0]
    without_notes = re.sub(r"\(.*?\)", "", sources, flags=re.DOTALL)
    return {" ".join(name.split()) for name in re.split(r",| and ", without_notes)}


def test_every_format_that_the_docs_name_is_among_the_seeds() -> None:
    readme = re.search(r"Reads ([^;]*?) and nine other formats;", (PROJECT / "README.md").read_text())
    assert readme is not None

    in_readme = {name.strip() for name in readme[1].split(",")}
    assert in_readme < names_in_docs() == set(seeds())


@pytest.mark.parametrize("name", sorted(names_in_docs()))
def test_the_seed_of_a_format_is_read_as_this_format(tmp_path: Path, name: str) -> None:
    write(tmp_path)

    decoded = decode(tmp_path / f"{name.lower().replace(' ', '-')}-0", ImageLimits(10**6, 10), sequential=True)

    assert decoded.format == FORMATS.get(name, name.lower())
    assert decoded.picture.first.avg() > 0
