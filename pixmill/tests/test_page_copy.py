"""The copy of the page that `make run` serves."""

import gzip
from pathlib import Path

from pixmill.page_copy import copy_page


def test_each_text_has_a_gzip_form_of_the_same_time(tmp_path: Path) -> None:
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<p>" * 1000)
    (built / "assets/a.png").write_bytes(b"pixels")

    copy_page(built, tmp_path / "page")

    compressed = tmp_path / "page/index.html.gz"
    assert gzip.decompress(compressed.read_bytes()).decode() == "<p>" * 1000
    assert compressed.stat().st_mtime == (built / "index.html").stat().st_mtime
    assert sorted(path.name for path in (tmp_path / "page/assets").iterdir()) == ["a.png"]


def test_files_of_an_earlier_page_are_gone(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "page").mkdir()
    (tmp_path / "page/old.js").touch()

    copy_page(tmp_path / "dist", tmp_path / "page")

    assert list((tmp_path / "page").iterdir()) == []
