"""The rules for file names, for arbitrary text from a client."""

import unicodedata

import pytest
from file_storage.services.names import MAX_LENGTH, FileName, copied, file_name, renamed, shown
from hypothesis import given
from hypothesis import strategies as st
from service_kit.errors import DomainError

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize(
    ("client_name", "wanted", "name", "extension"),
    [
        ("photo.JPG", None, "photo", ".jpg"),
        ("C:\\Users\\me\\photo.jpg", None, "photo", ".jpg"),
        ("photo.jpg", "summer", "summer", ".jpg"),
        ("photo.jpg", "summer.jpg", "summer", ".jpg"),
        ("photo.jpg", "v1.2", "v1.2", ".jpg"),
        ("blob", "photo.jpg", "photo", ".jpg"),
        ("photo.jpg", "AC/DC", "AC_DC", ".jpg"),
        ("C:\\Users\\me\\", None, "me", ""),
        ("ends with\\", None, "ends with", ""),
        (".bashrc", None, ".bashrc", ""),
        ("trailing.", None, "trailing.", ""),
    ],
)
def test_names_are_split_from_their_extensions(client_name: str, wanted: str | None, name: str, extension: str) -> None:
    assert file_name(client_name, wanted) == (name, extension)


@given(st.text(), st.none() | st.text())
def test_a_stored_name_is_never_a_path_or_invisible(client_name: str, wanted: str | None) -> None:
    try:
        stored = file_name(client_name, wanted)
    except DomainError as error:
        assert error.kind == "invalid-fields"
        return

    whole = stored.name + stored.extension
    assert not set(whole) & set("/\\\0")
    assert all(unicodedata.category(c) != "Cc" for c in whole)
    assert stored.name.strip(".")
    assert len(stored.name) <= MAX_LENGTH


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=50))
def test_letters_of_all_scripts_are_kept(name: str) -> None:
    assert renamed(name, ".jpg") == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("name", "extension", "stored"),
    [
        (None, None, "source.jpg"),
        ("copy", None, "copy.jpg"),
        (None, ".PNG", "source.png"),
        ("copy", "", "copy"),
        ("copy", ".tar.gz", "copy.tar.gz"),
        ("copy.png", ".png", "copy.png"),
        ("copy", ".x\r\nX-Injected: yes", "copy.xx-injected: yes"),
        ("copy", ".\u202egpj.exe", "copy.gpj.exe"),
        ("copy", ".\u0001\u000b\u007f", "copy"),
        ("copy", ". ", "copy"),
    ],
)
def test_the_extension_of_a_copy_is_cleaned_like_its_name(name: str | None, extension: str | None, stored: str) -> None:
    assert "".join(copied(FileName("source", ".jpg"), name, extension)) == stored


@given(st.text())
def test_no_stored_name_is_shown_with_control_characters(stored: str) -> None:
    name = shown(stored)

    assert name
    assert all(unicodedata.category(c) not in ("Cc", "Cs") and unicodedata.bidirectional(c) not in BIDI for c in name)
