"""The names of files and partial files."""

import errno
from pathlib import Path

import pytest
from pixmill.client.settings import part_of, safe_name


@pytest.mark.parametrize("length", [1, 240, 255])
def test_a_name_that_a_disk_can_have_has_room_for_its_partial_file(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("a" * length)

    for target in (path, part_of(path, "mark")):
        target.touch()

    assert len(list(tmp_path.iterdir())) == 2


def test_a_name_that_no_disk_can_have_fails_before_the_download(tmp_path: Path) -> None:
    with pytest.raises(OSError) as refused:
        part_of(tmp_path / ("я" * 150), "mark").touch()

    assert refused.value.errno == errno.ENAMETOOLONG


def test_partial_files_of_different_names_differ(tmp_path: Path) -> None:
    names = [letter * length for letter in "ab" for length in (1, 255)]

    assert len({part_of(tmp_path / name, "mark") for name in names}) == len(names)


@pytest.mark.parametrize(
    ("sent", "safe"),
    [
        ("photo.jpg", "photo.jpg"),
        ("12:30 é.jpg", "12:30 é.jpg"),
        (".bashrc", "_.bashrc"),
        ("...", "_..."),
        ("..", "_"),
        ("", "_"),
        ("a/../.ssh", "_.ssh"),
        ("C:\\windows\\x.dll", "x.dll"),
        ("a\0b\n\x1b[2J.jpg", "ab[2J.jpg"),
        ("\n.profile", "_.profile"),
        ("CON", "_CON"),
        ("aux.tar.gz", "_aux.tar.gz"),
        ("Com1 .txt", "_Com1 .txt"),
        ("console.txt", "console.txt"),
        ("com10.txt", "com10.txt"),
    ],
)
def test_a_name_from_the_server_is_one_of_a_visible_file_in_the_folder(sent: str, safe: str) -> None:
    assert safe_name(sent) == safe
