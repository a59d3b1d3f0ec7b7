"""The folders that result from clients' paths, for arbitrary paths."""

import re
import unicodedata

import pytest
from file_storage.routers.schemas import FOLDER
from file_storage.services.folders import MAX_FOLDER, folder_of, folder_of_relative, named_path, wanted_folder
from hypothesis import given
from hypothesis import strategies as st
from service_kit.errors import DomainError


@pytest.mark.parametrize(
    ("client_name", "folder"),
    [
        ("a.jpg", ""),
        ("holiday/2026/a.jpg", "holiday/2026"),
        ("holiday\\2026\\a.jpg", "holiday/2026"),
        ("holiday//2026/./a.jpg", ""),
        ("holiday//2026/a.jpg", "holiday/2026"),
        (" holiday / 2026 /a.jpg", "holiday/2026"),
        ("holi\u202eday\n/a.jpg", "holiday"),
        ("Ё/a.jpg", unicodedata.normalize("NFC", "Ё")),
        ("/etc/passwd", ""),
        ("\\\\server\\share\\a.jpg", ""),
        ("C:\\Users\\me\\a.jpg", ""),
        ("c:a/b.jpg", ""),
        ("../../etc/passwd", ""),
        ("holiday/../../a.jpg", ""),
        ("holiday/.. ./a.jpg", ""),
        ("holiday/...", "holiday"),
        ("holiday/", ""),
    ],
)
def test_a_folder_is_kept_only_if_it_lay_in_what_was_sent(client_name: str, folder: str) -> None:
    assert folder_of(client_name) == folder


def test_a_relative_path_may_begin_with_a_slash() -> None:
    assert folder_of_relative("/holiday/a.jpg") == "holiday"


@pytest.mark.parametrize(
    ("wanted", "folder"),
    [
        ("", ""),
        ("/", ""),
        ("holiday/2026", "holiday/2026"),
        ("/holiday//2026/", "holiday/2026"),
        ("at: sea", "at: sea"),
    ],
)
def test_a_wanted_folder_is_normalized(wanted: str, folder: str) -> None:
    assert wanted_folder(wanted) == folder


@pytest.mark.parametrize("wanted", ["..", "a/../b", "a/./b", "a/. .", "a\\b", "C:", "c:/a", "a" * (MAX_FOLDER + 1)])
def test_a_wanted_folder_that_leads_elsewhere_or_is_too_long_is_refused(wanted: str) -> None:
    with pytest.raises(DomainError) as refused:
        wanted_folder(wanted)

    assert (refused.value.kind, refused.value.errors[0]["pointer"]) == ("invalid-fields", "/folder")


@pytest.mark.parametrize(
    ("path", "name", "folder"),
    [
        ("a.jpg", "a.jpg", ""),
        ("holiday/2026/a.jpg", "a.jpg", "holiday/2026"),
        ("/tmp/a.jpg", "a.jpg", ""),
        ("../a.jpg", "a.jpg", ""),
        ("a/..", "a_..", ""),
        ("/", "_", ""),
    ],
)
def test_a_name_may_be_a_path(path: str, name: str, folder: str) -> None:
    stored, in_folder = named_path(path)

    assert ("".join(stored), in_folder) == (name, folder)


@given(st.text(st.sampled_from("ab.: /\\\n\u202e")))
def test_no_folder_leads_elsewhere(path: str) -> None:
    folder = folder_of(path)

    assert not set(folder) & set("\\\n\u202e")
    assert folder == "" or all(part.strip(". ") for part in folder.split("/"))


@given(st.text(st.sampled_from("ab.: /\\\n\x84\u202e")))
def test_the_schema_allows_the_folders_that_are_accepted(wanted: str) -> None:
    try:
        wanted_folder(wanted)
        is_accepted = True
    except DomainError:
        is_accepted = False

    assert (re.search(FOLDER, wanted) is not None) == is_accepted
