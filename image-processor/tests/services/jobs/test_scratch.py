"""What a process that was killed leaves of its work."""

from pathlib import Path

import pytest
from image_processor.services.jobs.scratch import InWork, found_in_work, in_work


def test_the_attempt_in_work_is_found_as_long_as_it_is_processed(tmp_path: Path) -> None:
    with in_work(tmp_path, 4711, 2):
        assert found_in_work(tmp_path) == InWork(4711, 2)

    assert found_in_work(tmp_path) is None


def test_a_failed_attempt_is_not_in_work(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), in_work(tmp_path, 4711, 2):
        raise ZeroDivisionError

    assert found_in_work(tmp_path) is None
