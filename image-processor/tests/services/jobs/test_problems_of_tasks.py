"""The problem of a failed task: in its row, its event and its webhook, and in Russian."""

import json
from collections.abc import Mapping

import pytest
from image_processor.config import RetrySettings
from image_processor.models import Callback, Task, TaskEvent
from image_processor.services.causes import Cause, kind_of_problem, problem_document
from image_processor.services.codec.errors import ImageError
from image_processor.services.files.client import FileStorageUnavailableError, SourceError
from image_processor.services.jobs.attempts import outcome_of
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Ended, Failed, Holder
from image_processor.services.tasks.webhooks import payload
from service_kit.database import Database
from service_kit.texts import sentence
from sqlalchemy import insert, select, update
from structlog.testing import capture_logs

HOLDER = Holder("one", 11)
TOO_LARGE = ImageError(
    sentence("The image has {frames} frames; the limit is {limit}.", frames=3, limit=2), Cause.IMAGE_TOO_LARGE
)
PROBLEM = {
    "type": "urn:pixmill:problem:image-too-large",
    "detail": "The image has 3 frames; the limit is 2.",
    "context": {"frames": 3, "limit": 2},
}


@pytest.fixture
def task_id(database: Database) -> int:
    with database.write() as session:
        new = insert(Task).values(source_id=1, algorithm="flip", callback_url="http://127.0.0.1:9/")
        return session.execute(new.returning(Task.id)).scalar_one()


def problem_of_task(database: Database, task_id: int) -> Mapping[str, object] | None:
    with database.read() as session:
        return problem_document(session.get_one(Task, task_id).error_problem)


def fail(claims: ClaimService, error: Exception) -> None:
    [claim] = claims.claim(HOLDER)
    claims.end([Ended(claim, outcome_of(error))])


def test_a_failed_task_keeps_its_problem_and_the_sentence(
    claims: ClaimService, database: Database, task_id: int
) -> None:
    fail(claims, TOO_LARGE)

    assert problem_of_task(database, task_id) == PROBLEM
    with database.read() as session:
        assert session.get_one(Task, task_id).error == PROBLEM["detail"]


def test_the_event_and_the_webhook_have_the_problem_too(claims: ClaimService, database: Database, task_id: int) -> None:
    fail(claims, TOO_LARGE)

    with database.read() as session:
        events = session.scalars(select(TaskEvent).order_by(TaskEvent.id)).all()
        [callback] = session.scalars(select(Callback))
    assert [problem_document(event.error_problem) for event in events] == [None, None, PROBLEM]
    assert json.loads(payload(callback))["task"]["problem"] == PROBLEM


@pytest.mark.parametrize(
    ("error", "kind", "context"),
    [
        (ImageError("The image is damaged."), "image-unreadable", {}),
        (SourceError(sentence("File {file_id} no longer exists.", file_id=7)), "file-gone", {"file_id": 7}),
        (MemoryError(), "out-of-memory", {}),
        (OSError(27, "File too large"), "result-too-large", {}),
    ],
)
def test_each_permanent_failure_has_its_own_type(
    claims: ClaimService, database: Database, task_id: int, error: Exception, kind: str, context: dict[str, object]
) -> None:
    fail(claims, error)

    problem = problem_of_task(database, task_id)
    assert problem is not None
    assert (problem["type"], problem["context"]) == (f"urn:pixmill:problem:{kind}", context)


def test_too_many_crashes_are_a_problem_that_says_how_many(
    leases: LeaseService, claims: ClaimService, database: Database, retry: RetrySettings, task_id: int
) -> None:
    for _ in range(retry.max_crashes):
        claims.claim(HOLDER)
        leases.crashed(HOLDER, sentence("the task crashed its process, perhaps because memory ran out"))

    problem = problem_of_task(database, task_id)
    assert problem is not None
    assert problem["type"] == "urn:pixmill:problem:too-many-crashes"
    assert problem["context"] == {
        "crashes": retry.max_crashes,
        "reason": "the task crashed its process, perhaps because memory ran out",
    }


def test_too_many_lost_workers_are_a_problem_of_their_own_that_says_how_many(
    leases: LeaseService, claims: ClaimService, database: Database, retry: RetrySettings, task_id: int
) -> None:
    for _ in range(retry.max_losses):
        claims.claim(HOLDER)
        with database.write() as session:
            session.execute(update(Task).values(lease_until=1.0))
        leases.expire_leases(2.0)

    problem = problem_of_task(database, task_id)
    assert problem is not None
    assert problem["type"] == "urn:pixmill:problem:too-many-losses"
    assert problem["context"] == {"losses": retry.max_losses, "reason": "its worker stopped answering"}


def test_a_task_that_crashes_once_has_no_problem(
    leases: LeaseService, claims: ClaimService, database: Database, task_id: int
) -> None:
    claims.claim(HOLDER)

    leases.crashed(HOLDER, "it crashed")

    assert problem_of_task(database, task_id) is None


def test_an_attempt_that_takes_too_long_is_a_problem(
    leases: LeaseService, claims: ClaimService, database: Database, task_id: int
) -> None:
    [claim] = claims.claim(HOLDER)

    leases.overran(HOLDER, task_id, claim.attempt, sentence("it took longer than {seconds:g} seconds", seconds=20))

    problem = problem_of_task(database, task_id)
    assert problem is not None
    assert problem["type"] == "urn:pixmill:problem:task-too-slow"


def test_a_spent_retry_budget_is_a_problem(database: Database, retry: RetrySettings, task_id: int) -> None:
    claims = ClaimService(database, retry.model_copy(update={"max_seconds": 0}), lease_seconds=60, processes=1)
    with database.write() as session:
        session.execute(update(Task).values(retry_seconds=1))

    fail(claims, FileStorageUnavailableError("refused"))

    problem = problem_of_task(database, task_id)
    assert problem is not None
    assert problem["type"] == "urn:pixmill:problem:too-many-failures"


def test_a_problem_is_translated_with_the_reason_in_it(database: Database, retry: RetrySettings, task_id: int) -> None:
    claims = ClaimService(database, retry.model_copy(update={"max_seconds": 0}), lease_seconds=60, processes=1)
    with database.write() as session:
        session.execute(update(Task).values(retry_seconds=1))
    fail(claims, OSError(28, "No space left on device"))

    with database.read() as session:
        problem = problem_document(session.get_one(Task, task_id).error_problem, "ru")

    assert problem is not None
    assert problem["detail"] == "Попытки прекращены после повторных сбоев: на диске воркера нет места"


def test_an_outcome_without_a_cause_is_a_problem_of_a_general_type(
    claims: ClaimService, database: Database, task_id: int
) -> None:
    [claim] = claims.claim(HOLDER)

    claims.end([Ended(claim, Failed("no"))])

    assert problem_of_task(database, task_id) == {
        "type": "urn:pixmill:problem:task-failed",
        "detail": "no",
        "context": {},
    }


def test_a_task_from_before_has_no_problem() -> None:
    assert problem_document(None) is None


def test_a_problem_whose_template_reaches_beyond_its_values_reveals_nothing() -> None:
    row = {"cause": Cause.TASK_FAILED, "text": "It failed.", "template": "{n.__class__}", "values": {"n": 1}}

    kind = kind_of_problem(json.dumps(row))
    assert kind is not None
    assert kind.sentence == "It failed."


BROKEN = {
    "cut": '{"cause": "task-failed", "te',
    "no object": "[]",
    "no cause": '{"text": "It failed."}',
    "no text": '{"cause": "task-failed", "text": null}',
    "half a surrogate pair": r'{"cause": "task-failed", "text": "\ud800"}',
    "an infinite number": '{"cause": "task-failed", "text": "It failed.", "values": {"n": 1e999}}',
    "deep": f'{{"cause": "task-failed", "text": "It failed.", "values": {"[" * 900}{"]" * 900}}}',
}


@pytest.mark.parametrize("row", BROKEN.values(), ids=BROKEN)
def test_a_broken_row_is_as_one_from_before_and_is_logged(row: str) -> None:
    with capture_logs() as logs:
        problem = problem_document(row)

    assert (problem, kind_of_problem(row)) == (None, None)
    assert [line["event"] for line in logs] == ["stored problem of a task is broken"]


def test_a_template_other_than_text_does_not_break_the_list_of_causes() -> None:
    row = {"cause": Cause.TASK_FAILED, "text": "It failed.", "template": ["{n}"], "values": {"n": 1}}

    kind = kind_of_problem(json.dumps(row))

    assert kind is not None
    assert {kind.key: kind.sentence}[kind.key] == "It failed."
