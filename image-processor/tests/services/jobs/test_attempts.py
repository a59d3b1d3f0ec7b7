"""Attempts at tasks that were created by another version or take too long; outcomes of errors."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from image_processor.config import LimitSettings
from image_processor.services.causes import Cause
from image_processor.services.codec.plan import plan_of
from image_processor.services.files.client import FileStorage
from image_processor.services.files.sources import Sources
from image_processor.services.jobs.attempts import AttemptService, PlannedClaim, outcome_of
from image_processor.services.jobs.outcomes import Claim, Failed
from image_processor.services.jobs.result_cache import ResultCache
from image_processor.services.jobs.reuse import ReuseService
from image_processor.services.jobs.scratch import AttemptInProgress, find_attempt_in_progress
from service_kit.database import Database

LIMITS = LimitSettings(
    max_file_bytes=100,
    max_task_bytes=150,
    max_pixels=1,
    max_decoded_bytes=1,
    max_frames=1,
    max_seconds=1,
    max_memory_bytes=2**30,
    max_written_bytes=2**30,
)


def task_of(algorithm: str, params: dict[str, object]) -> Claim:
    return Claim(
        task_id=1,
        attempt=1,
        owner="local",
        source_id=1,
        source_name="p",
        source_extension=".jpg",
        source_sha256="0" * 64,
        priority=0,
        algorithm=algorithm,
        params=params,
        cache=True,
        result_key="key",
        suspect=False,
    )


@pytest.mark.parametrize(
    ("algorithm", "params"),
    [("crop", {}), ("pipeline", {"steps": [{"algorithm": "crop", "params": {}}]})],
)
def test_a_task_whose_params_are_no_longer_valid_fails_with_the_reason(
    algorithm: str, params: dict[str, object], tmp_path: Path
) -> None:
    with httpx2.Client(base_url="http://127.0.0.1:9") as http:
        storage = FileStorage(http)
        reuse = ReuseService(storage, ResultCache(Database(f"sqlite:///{tmp_path}/tasks.db", 1)))
        [(_, outcome)], missed = reuse.reuse([task_of(algorithm, params)])

    assert missed == []
    assert isinstance(outcome, Failed)
    assert outcome.cause == Cause.TASK_OUTDATED
    assert outcome.reason.startswith("The task can no longer run: ")
    assert "nothing to do: give width, height, aspect_ratio, left or top" in outcome.reason


def test_a_file_that_hits_the_limit_of_written_bytes_fails_with_what_to_do_and_is_not_a_crash() -> None:
    outcome = outcome_of(OSError(errno.EFBIG, os.strerror(errno.EFBIG)))

    assert isinstance(outcome, Failed)
    assert "limits.max_written_bytes" in outcome.reason
    assert "Make the image smaller" in outcome.reason


def test_the_time_limit_finds_the_task_at_fault_from_its_first_moment_on(tmp_path: Path) -> None:
    marked: list[AttemptInProgress | None] = []

    @contextmanager
    def time_limit() -> Iterator[None]:
        marked.append(find_attempt_in_progress(tmp_path))
        yield
        marked.append(find_attempt_in_progress(tmp_path))

    with httpx2.Client(base_url="http://127.0.0.1:9") as http:
        storage = FileStorage(http)
        attempts = AttemptService(Sources(storage, None, None, LIMITS), LIMITS, time_limit)

        attempts.attempt(PlannedClaim(task_of("flip", {}), plan_of("flip", {}), None), None, tmp_path)

    assert marked == [AttemptInProgress(1, 1)]
    assert find_attempt_in_progress(tmp_path) is None
