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
