"""The names of finished files."""

import os
from pathlib import Path

import pytest
from pixmill.client.targets import Destination, IfExists, file_instead_of_folder


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / ".part"
    path.write_bytes(b"new")
    return path


def no_hard_links(*_: object) -> None:
    raise PermissionError


@pytest.mark.parametrize("has_links", [True, False])
def test_a_name_that_is_taken_during_the_download_is_kept(
    part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", no_hard_links)
    wanted = Destination(tmp_path / "a.jpg", IfExists.NUMBER)
    assert wanted.holding(3, "0" * 64) is None
    wanted.path.write_bytes(b"old")

    path = wanted.take(part)

    assert path == tmp_path / "a (2).jpg"
    assert (wanted.path.read_bytes(), path.read_bytes()) == (b"old", b"new")
    assert not part.exists()


def test_a_link_to_another_place_is_not_followed(part: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (tmp_path / "a.jpg").symlink_to(outside)

    with pytest.raises(FileExistsError):
        Destination(tmp_path / "a.jpg", IfExists.REFUSE).take(part)

    assert not outside.exists()
    assert part.read_bytes() == b"new"


def test_a_name_without_an_extension_is_numbered_at_its_end(part: Path, tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    assert Destination(tmp_path / "a", IfExists.NUMBER).take(part).name == "a (2)"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("file", "file"), ("file/inner/more", "file"), ("link", "link"), ("folder", None), ("new/inner", None)],
)
def test_a_file_instead_of_a_folder_is_found_also_above_it(tmp_path: Path, wanted: str, found: str | None) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")

    assert file_instead_of_folder(tmp_path / wanted) == (None if found is None else tmp_path / found)
