"""ZIP archives: their names, and files whose actual size differs from their rows."""

from collections.abc import Sequence
from io import BufferedReader, BytesIO
from typing import cast
from zipfile import ZipFile

import pytest
from file_storage.models import File
from file_storage.services.archive import zip_of
from service_kit.errors import DomainError

from tests.support.effort import calls_of

FILE = File(id=7, name="a", extension=".bin", folder="", size=10)


def opened(content: bytes) -> BufferedReader:
    return BufferedReader(cast("BufferedReader", BytesIO(content)))


def test_an_archive_ends_early_if_a_file_was_truncated() -> None:
    archive = zip_of([FILE], lambda _: opened(b"12345"))
    length, sent = len(archive), 0

    with pytest.raises(DomainError, match="bytes of file 7 are lost"):
        for piece in archive:
            sent += len(piece)

    assert sent < length


def test_an_archive_is_no_longer_than_announced_if_a_file_has_grown() -> None:
    archive = zip_of([FILE], lambda _: opened(b"1234567890, and more"))

    assert len(archive) == sum(map(len, archive))


def test_an_archive_lists_names_without_control_characters() -> None:
    spoofed = File(id=8, name="b", extension=".\u202egpj\n.exe", folder="", size=1)

    archive = b"".join(zip_of([spoofed], lambda _: opened(b"1")))

    assert ZipFile(BytesIO(archive)).namelist() == ["b.gpj.exe"]


def test_an_archive_has_the_folders_of_its_files() -> None:
    files = [
        File(id=1, name="a", extension=".jpg", folder="holiday/2026", size=1),
        File(id=2, name="a", extension=".jpg", folder="", size=1),
        File(id=3, name="A", extension=".JPG", folder="Holiday/2026", size=1),
    ]

    archive = b"".join(zip_of(files, lambda _: opened(b"1")))

    assert ZipFile(BytesIO(archive)).namelist() == ["holiday/2026/a.jpg", "a.jpg", "Holiday/2026/A (2).JPG"]


def test_no_file_of_an_archive_has_the_name_of_a_folder() -> None:
    files = [
        File(id=1, name="holiday", extension="", folder="", size=1),
        File(id=2, name="a", extension=".jpg", folder="holiday", size=1),
    ]

    archive = b"".join(zip_of(files, lambda _: opened(b"1")))

    assert ZipFile(BytesIO(archive)).namelist() == ["holiday (2)", "holiday/a.jpg"]


def test_no_folder_of_an_archive_leads_elsewhere() -> None:
    hostile = File(id=1, name="a", extension=".jpg", folder="../..//holiday", size=1)

    archive = b"".join(zip_of([hostile], lambda _: opened(b"1")))

    assert ZipFile(BytesIO(archive)).namelist() == ["holiday/a.jpg"]


def test_no_name_in_an_archive_begins_with_a_drive() -> None:
    files = [
        File(id=number, name=name, extension=".exe", folder="", size=1) for number, name in ((1, "C:a"), (2, "C_a"))
    ]
    files.append(File(id=3, name="10:30", extension=".jpg", folder="", size=1))

    archive = b"".join(zip_of(files, lambda _: opened(b"1")))

    assert ZipFile(BytesIO(archive)).namelist() == ["C_a.exe", "C_a (2).exe", "10:30.jpg"]


def names_of(files: Sequence[File]) -> Sequence[str]:
    return ZipFile(BytesIO(b"".join(zip_of(files, lambda _: opened(b"1"))))).namelist()


def test_no_two_files_of_an_archive_have_the_same_name_on_a_file_system_that_ignores_case() -> None:
    names = ["a (3)", "a", "A", "a", "a (2)", "a (2)", "a", "a (2) (2)", "a (4)", "a"]
    files = [File(id=number, name=name, extension=".jpg", folder="", size=1) for number, name in enumerate(names)]

    assert names_of(files) == [
        "a (3).jpg",
        "a.jpg",
        "A (2).jpg",
        "a (4).jpg",
        "a (2) (2).jpg",
        "a (2) (3).jpg",
        "a (5).jpg",
        "a (2) (2) (2).jpg",
        "a (4) (2).jpg",
        "a (6).jpg",
    ]


def test_the_effort_for_equal_names_in_an_archive_grows_no_faster_than_their_number() -> None:
    def effort(count: int) -> int:
        files = [File(id=number, name="a", extension=".jpg", folder="b", size=1) for number in range(count)]
        return calls_of(lambda: len(zip_of(files, lambda _: opened(b"1"))))

    assert effort(200) < 3 * effort(100)
