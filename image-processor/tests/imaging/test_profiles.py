"""Profiles that a source brings: which can be read, and what a process remembers of them."""

import pytest
from image_processor.imaging.profiles import MOST_REMEMBERED_BYTES, general_cmyk, is_readable, remembered


def test_a_profile_needs_only_the_tables_of_the_intent_that_converts() -> None:
    # The tables of the perceptual intent have another name, which no program knows (ICC.1:2022, 9.2).
    profile = general_cmyk().replace(b"A2B0", b"none", 1)

    assert is_readable(profile)


def test_a_profile_without_tables_is_not_readable() -> None:
    profile = general_cmyk()
    for number in (b"0", b"1", b"2"):
        profile = profile.replace(b"A2B" + number, b"non" + number, 1)

    assert not is_readable(profile)


@pytest.mark.parametrize(("size", "checks"), [(MOST_REMEMBERED_BYTES, 1), (MOST_REMEMBERED_BYTES + 1, 2)])
def test_a_process_remembers_only_profiles_of_usual_size(size: int, checks: int) -> None:
    seen = []

    def check(profile: bytes) -> bool:
        seen.append(len(profile))
        return True

    checked = remembered(check)
    checked(bytes(size))
    checked(bytes(size))

    assert seen == [size] * checks
