"""The files that a command's arguments select."""

from pathlib import Path

import pytest
from pixmill.commands.paths import Selection


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.png", ".a.jpg.part", "deep/c.jpg", "raw/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(photos: Path, selection: Selection, *given: str) -> list[str]:
    return [str(path.relative_to(photos)) for path in selection.files([str(photos / pattern) for pattern in given])]


def test_a_folder_is_searched_for_patterns_without_hidden_files(photos: Path) -> None:
    assert names(photos, Selection(recursive=True, only=["*.jpg"], without=["raw"]), ".") == ["a.jpg", "deep/c.jpg"]


def test_a_pattern_that_the_shell_left_is_expanded(photos: Path) -> None:
    assert names(photos, Selection(), "*.jpg") == ["a.jpg"]
    assert names(photos, Selection(), "**/*.jpg") == ["a.jpg", "deep/c.jpg", "raw/d.jpg"]


def test_a_folder_needs_the_option(photos: Path) -> None:
    with pytest.raises(ValueError, match="--recursive"):
        names(photos, Selection(), "deep")


@pytest.mark.parametrize("recursive", [False, True])
def test_an_empty_path_is_not_the_current_folder(
    photos: Path, monkeypatch: pytest.MonkeyPatch, recursive: bool
) -> None:
    monkeypatch.chdir(photos)

    with pytest.raises(ValueError, match="a path is empty; give the path of a file"):
        list(Selection(recursive).files(["a.jpg", ""]))


@pytest.mark.parametrize("given", ["nothing.jpg", "*.gif"])
def test_what_is_not_there_is_an_error(photos: Path, given: str) -> None:
    with pytest.raises(FileNotFoundError):
        names(photos, Selection(), given)


def test_a_given_folder_keeps_its_own_name_and_a_given_file_has_no_folder(photos: Path) -> None:
    given = [str(photos / "deep"), str(photos / "a.jpg")]

    roots = [placed.root for placed in Selection(recursive=True).placed(given)]

    assert roots == [photos, None]


def test_the_folder_where_one_is_has_no_name_to_keep(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos / "deep")

    assert [placed.root for placed in Selection(recursive=True).placed(["."])] == [Path()]


def test_a_pattern_that_matches_only_folders_needs_the_option_too(photos: Path) -> None:
    with pytest.raises(ValueError, match=r"'.*/deep' is a folder: add --recursive"):
        names(photos, Selection(), "de*")


def test_folders_among_the_matches_of_a_pattern_are_skipped(photos: Path) -> None:
    assert names(photos, Selection(), "*") == [".a.jpg.part", "a.jpg", "b.png"]


def test_hidden_names_are_reported_unless_the_patterns_skip_them(photos: Path) -> None:
    (photos / ".cache").mkdir()
    (photos / ".secret.jpg").touch()
    hidden: list[Path] = []

    found = list(
        Selection(recursive=True, only=["*.jpg"], without=[".cache"], on_hidden=hidden.append).files([str(photos)])
    )

    assert len(found) == 3
    assert hidden == [photos / ".secret.jpg"]
