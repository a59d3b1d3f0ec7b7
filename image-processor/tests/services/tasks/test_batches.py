"""Claims and webhooks have the shared data of their batch; a batch's rate, and the causes of failures."""

from collections.abc import Sequence

import pytest
from image_processor.models import Batch, Callback, Task, TaskStatus
from image_processor.services.causes import Cause, stored_problem
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Crashed, Ended, Failed, Finished, Holder, Outcome, Postponed
from image_processor.services.tasks.batches import BatchService, Failure, StatusPart, causes_of, progress_of
from service_kit.access.principals import LOCAL
from service_kit.database import Database, epoch_now
from service_kit.texts import sentence
from sqlalchemy import insert, select, update

HOLDER = Holder("one", 1)
HOOK = "https://example.org/hook"


def add_batch(database: Database, tasks: int, **more: object) -> tuple[int, Sequence[int]]:
    """Add a batch; return its id and the ids of its tasks."""
    with database.write() as session:
        values = {"algorithm": "blur", "params": {"radius": 2}, "tasks": tasks, **more}
        batch_id = session.execute(insert(Batch).values(values).returning(Batch.id)).scalar_one()
        rows = [{"source_id": 1, "algorithm": "blur", "batch_id": batch_id} for _ in range(tasks)]
        return batch_id, session.scalars(insert(Task).returning(Task.id, sort_by_parameter_order=True), rows).all()


def task_of(database: Database, task_id: int) -> Task:
    with database.read() as session:
        return session.get_one(Task, task_id)


def test_a_claim_has_the_params_of_its_batch_or_its_own(claims: ClaimService, database: Database) -> None:
    add_batch(database, 2, expires_in=60)
    add_batch(database, 1, params=None)
    with database.write() as session:
        session.execute(insert(Task).values(source_id=1, algorithm="flip", params={"axis": "x"}))

    claimed = claims.claim(HOLDER, 10)

    assert [(claim.params, claim.expires_in) for claim in claimed] == [
        ({"radius": 2}, 60),
        ({"radius": 2}, 60),
        (None, None),
        ({"axis": "x"}, None),
    ]


@pytest.mark.parametrize(
    ("of_batch", "own", "expected"), [(HOOK, None, [HOOK]), (None, HOOK, [HOOK]), (None, None, [])]
)
def test_a_webhook_goes_to_the_url_of_the_batch_or_of_the_task(
    claims: ClaimService, database: Database, of_batch: str | None, own: str | None, expected: Sequence[str]
) -> None:
    add_batch(database, 1, callback_url=of_batch)
    with database.write() as session:
        session.execute(update(Task).values(callback_url=own))

    claims.end([Ended(claim, Finished(7)) for claim in claims.claim(HOLDER)])

    with database.read() as session:
        assert session.scalars(select(Callback.url)).all() == expected


@pytest.mark.parametrize(
    ("outcome", "ends"), [(Finished(7), True), (Failed("no"), True), (Postponed("later"), False), (Crashed("x"), False)]
)
def test_a_task_has_an_end_only_in_a_state_that_ends_it(
    claims: ClaimService, database: Database, outcome: Outcome, ends: bool
) -> None:
    _, [task_id] = add_batch(database, 1)

    claims.end([Ended(claim, outcome) for claim in claims.claim(HOLDER)])

    task = task_of(database, task_id)
    assert (task.started_at is not None, task.ended_at is not None) == (True, ends)


def test_a_task_that_is_given_up_has_an_end(claims: ClaimService, leases: LeaseService, database: Database) -> None:
    _, [task_id] = add_batch(database, 1)

    for _ in range(3):
        claims.claim(HOLDER)
        leases.crashed(HOLDER, "crash")

    task = task_of(database, task_id)
    assert (task.status, task.ended_at is not None) == ("error", True)


def test_a_task_that_overran_its_time_has_an_end(
    claims: ClaimService, leases: LeaseService, database: Database
) -> None:
    _, [task_id] = add_batch(database, 1)
    [claim] = claims.claim(HOLDER)

    leases.overran(HOLDER, task_id, claim.attempt, "too long")

    assert task_of(database, task_id).ended_at is not None


def test_a_running_batch_is_judged_by_the_last_minute(database: Database) -> None:
    batch_id, task_ids = add_batch(database, 100)
    with database.write() as session:
        ended = {"status": TaskStatus.FINISHED, "started_at": epoch_now() - 3600}
        for first, last, seconds in ((0, 40, 3000), (40, 70, 30)):
            of_part = Task.id.in_(task_ids[first:last])
            session.execute(update(Task).where(of_part).values(ended_at=epoch_now() - seconds, **ended))

    detail = BatchService(database).get(LOCAL, batch_id)

    assert detail.row.counts == {"pending": 30, "processing": 0, "finished": 70, "error": 0, "cancelled": 0}
    assert detail.progress.rate == pytest.approx(30 / 60, abs=0.001)
    assert detail.progress.seconds_left == pytest.approx(60, abs=1)


def part(status: str, tasks: int, recent: int = 0, begun: float | None = None, end: float | None = None) -> StatusPart:
    return StatusPart(TaskStatus(status), tasks, recent, begun, end)


@pytest.mark.parametrize(
    ("parts", "rate", "seconds_left", "ended_at"),
    [
        pytest.param([part("pending", 5)], 0.0, None, None, id="not begun"),
        pytest.param(
            [part("finished", 20, 20, 990.0, 999.0), part("pending", 6)], 2.0, 3, None, id="begun ten seconds ago"
        ),
        pytest.param([part("finished", 9, 0, 100.0, 200.0), part("processing", 1)], 0.0, None, None, id="stuck"),
        pytest.param(
            [part("finished", 9, 0, 100.0, 119.0), part("error", 1, 0, 110.0, 120.0)], 0.5, 0, 120.0, id="ended"
        ),
        pytest.param(
            [part("finished", 10, 0, 100.0, 120.0), part("cancelled", 90, 0, None, 120.0)], 0.5, 0, 120.0, id="rest"
        ),
        pytest.param([part("cancelled", 3, 3, None, 999.0)], 0.0, 0, 999.0, id="cancelled before it began"),
        pytest.param([], 0.0, 0, None, id="all deleted"),
    ],
)
def test_the_rate_and_the_time_left_follow_from_what_has_ended(
    parts: Sequence[StatusPart], rate: float, seconds_left: int | None, ended_at: float | None
) -> None:
    progress = progress_of(parts, now=1000.0, created=sum(part.tasks for part in parts))

    assert progress.rate == pytest.approx(rate)
    assert (progress.seconds_left, progress.ended_at) == (seconds_left, ended_at)


def test_errors_without_problems_that_differ_in_numbers_have_one_cause_with_the_oldest_as_example() -> None:
    failures = [
        Failure("Not an image.", None, 3, 9),
        Failure("12 of 3.5 pixels", None, 2, 7),
        Failure("8 of 1,024 pixels", None, 4, 5),
    ]

    causes = causes_of(failures)

    assert causes == [
        ("… of … pixels", None, 6, failures[2]),
        ("Not an image.", None, 3, failures[0]),
    ]


def failed(cause: Cause, said: str, task_id: int) -> Failure:
    return Failure(str(said), stored_problem(cause, said), 1, task_id)


def unreadable(reason: str, task_id: int) -> Failure:
    said = sentence("The image cannot be decoded: {reason}.", reason=reason)
    return failed(Cause.IMAGE_UNREADABLE, said, task_id)


def test_problems_that_differ_in_values_have_one_cause_with_its_type() -> None:
    failures = [unreadable("it has no frame", 8), unreadable("the file is truncated", 3)]

    [cause] = causes_of(failures)

    assert cause == ("The image cannot be decoded: ….", "urn:pixmill:problem:image-unreadable", 2, failures[1])


def test_a_sentence_within_a_sentence_tells_causes_apart() -> None:
    reasons = [sentence("{format} is cut short", format="GIF"), sentence("{format} is cut short", format="PNG")]
    failures = [
        *(unreadable(reason, task_id) for task_id, reason in enumerate(reasons, 1)),
        unreadable(sentence("it has no frame"), 3),
    ]

    causes = causes_of(failures)

    assert [(cause.cause, cause.tasks) for cause in causes] == [
        ("The image cannot be decoded: … is cut short.", 2),
        ("The image cannot be decoded: it has no frame.", 1),
    ]


def test_the_same_words_of_another_type_are_another_cause() -> None:
    said = sentence("It took longer than {seconds:g} seconds.", seconds=2.5)

    causes = causes_of([failed(Cause.TASK_TOO_SLOW, said, 1), failed(Cause.TASK_FAILED, said, 2)])

    assert [(cause.cause, cause.type) for cause in causes] == [
        ("It took longer than … seconds.", "urn:pixmill:problem:task-too-slow"),
        ("It took longer than … seconds.", "urn:pixmill:problem:task-failed"),
    ]
