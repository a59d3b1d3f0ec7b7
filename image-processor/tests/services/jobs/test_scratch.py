"""A killed process leaves a marker of its attempt."""

from pathlib import Path

import pytest
from image_processor.services.jobs.scratch import AttemptInProgress, find_attempt_in_progress, in_progress


def test_an_attempt_is_found_while_it_is_in_progress(tmp_path: Path) -> None:
    with in_progress(tmp_path, 4711, 2):
        assert find_attempt_in_progress(tmp_path) == AttemptInProgress(4711, 2)

    assert find_attempt_in_progress(tmp_path) is None


def test_a_failed_attempt_leaves_no_mark(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), in_progress(tmp_path, 4711, 2):
        raise ZeroDivisionError

    assert find_attempt_in_progress(tmp_path) is None


@pytest.mark.parametrize("name", ["", "7", "7-", "x-1", "7-1-1", "7-1.png", "9" * 19 + "-1", "7-" + "9" * 10])
def test_a_file_of_another_name_marks_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / f"in-progress-{name}").touch()

    assert find_attempt_in_progress(tmp_path) is None
