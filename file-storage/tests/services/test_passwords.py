"""Passwords of links are hashed, each with its own salt."""

import pytest
from file_storage.services.passwords import hashed, matches

pytestmark = pytest.mark.slow


def test_the_same_password_matches_and_another_does_not() -> None:
    stored = hashed("correct horse")

    assert matches("correct horse", stored)
    assert not matches("correct horse ", stored)


def test_a_letter_with_an_accent_matches_however_it_was_typed() -> None:
    assert matches("cafe\u0301", hashed("caf\u00e9"))


def test_two_equal_passwords_have_different_hashes() -> None:
    assert hashed("secret") != hashed("secret")
