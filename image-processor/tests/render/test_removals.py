"""What was removed after a file was looked up is known, also long after."""

import pytest
from image_processor.render.processes.job import StoredFile
from image_processor.render.removals import MOST_REMEMBERED, Removals

FILES = [StoredFile("a" * 64, 1), StoredFile("b" * 64, 2)]


@pytest.mark.parametrize(
    ("file_id", "sha256", "expected"),
    [(2, None, True), (7, "a" * 64, True), (7, None, False), (7, "c" * 64, False)],
)
def test_a_removal_concerns_results_of_the_file_and_of_others_with_its_bytes(
    file_id: int, sha256: str | None, expected: bool
) -> None:
    removals = Removals()
    before = removals.count

    removals.add(file_id, sha256)

    assert removals.concern(FILES, before) is expected


def test_what_is_looked_up_after_a_removal_is_not_concerned() -> None:
    removals = Removals()
    removals.add(1, None)

    after = removals.count
    removals.add(7, None)

    assert not removals.concern(FILES, after)


def test_what_began_before_all_removals_that_are_remembered_counts_as_removed() -> None:
    removals = Removals()
    before = removals.count
    removals.add(7, None)
    remembered = removals.count
    for _ in range(MOST_REMEMBERED):
        removals.add(7, None)

    assert removals.concern(FILES, before)
    assert not removals.concern(FILES, remembered)
