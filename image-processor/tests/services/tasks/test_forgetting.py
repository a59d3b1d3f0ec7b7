"""Tasks are deleted a configured time after their end, and batches with their last task."""

from collections.abc import Sequence

import psycopg
import pytest
from image_processor.models import Batch, BatchKey, Task
from image_processor.services.tasks import forgetting
from image_processor.services.tasks.forgetting import Retention
from image_processor.services.tasks.idempotency import KEY_LIFETIME, forget_expired, ranges_of
from service_kit.database import Database, epoch_now
from sqlalchemy import insert, select, text, update

from tests.support.databases import libpq_url
from tests.support.pages_read import PagesRead

HOUR = 3600


def add_task(database: Database, status: str, hours: float, batch_id: int | None = None, **more: object) -> int:
    """Add a task that was created, and if applicable ended, this many hours ago."""
    then = epoch_now() - hours * HOUR
    ended = {} if status in ("pending", "processing") else {"ended_at": then}
    values = {"source_id": 1, "algorithm": "flip", "created_at": then, "batch_id": batch_id, **ended, **more}
    with database.write() as session:
        return session.execute(insert(Task).values(status=status, **values).returning(Task.id)).scalar_one()


def add_batch(database: Database) -> int:
    with database.write() as session:
        return session.execute(insert(Batch).values(algorithm="flip", tasks=1).returning(Batch.id)).scalar_one()


def ids(database: Database) -> Sequence[int]:
    with database.read() as session:
        return session.scalars(select(Task.id).order_by(Task.id)).all()


def batches(database: Database) -> Sequence[int]:
    with database.read() as session:
        return session.scalars(select(Batch.id)).all()


def test_ended_tasks_are_deleted_when_their_time_is_over(database: Database) -> None:
    for status in ("finished", "error", "cancelled"):
        add_task(database, status, hours=3)
    waiting, running = add_task(database, "pending", hours=3), add_task(database, "processing", hours=3)
    late = add_task(database, "finished", hours=3, ended_at=epoch_now())
    young = add_task(database, "finished", hours=1)

    Retention(database, 2 * HOUR).run()

    assert ids(database) == [waiting, running, late, young]


def test_tasks_from_before_their_end_was_recorded_are_deleted_by_their_last_change(database: Database) -> None:
    add_task(database, "finished", hours=3, ended_at=None, updated_at=epoch_now() - 3 * HOUR)
    changed = add_task(database, "finished", hours=3, ended_at=None, updated_at=epoch_now())

    Retention(database, 2 * HOUR).run()

    assert ids(database) == [changed]


def test_without_a_time_all_tasks_are_kept(database: Database) -> None:
    kept = add_task(database, "finished", hours=100_000)

    Retention(database, 0).run()

    assert ids(database) == [kept]


def test_a_walk_in_small_steps_passes_tasks_that_stay(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "_NEXT", forgetting._NEXT.limit(2))
    monkeypatch.setattr(forgetting, "STEP", 2)
    waiting = [add_task(database, "pending", hours=3) for _ in range(4)]
    for _ in range(3):
        add_task(database, "finished", hours=3)
    young = add_task(database, "finished", hours=1)
    retention = Retention(database, 2 * HOUR)

    deleted = [retention.run(), retention.run()]

    assert deleted == [2, 1]
    assert ids(database) == [*waiting, young]


def test_a_task_that_a_walk_has_kept_is_deleted_by_a_later_one(database: Database) -> None:
    waiting = add_task(database, "pending", hours=3)
    add_task(database, "finished", hours=3)
    retention = Retention(database, 2 * HOUR)
    retention.run()

    with database.write() as session:
        values = {"status": "finished", "ended_at": epoch_now() - 3 * HOUR}
        session.execute(update(Task).where(Task.id == waiting).values(**values))
    add_task(database, "finished", hours=3)
    retention.run()

    assert ids(database) == []


@pytest.mark.parametrize("each_database", [pytest.param("postgresql", marks=pytest.mark.server)], indirect=True)
def test_a_walk_does_not_read_what_the_last_one_deleted(each_database: Database) -> None:
    url = each_database.engine.url.render_as_string(hide_password=False)
    retention = Retention(each_database, 2 * HOUR)
    row = {"source_id": 1, "algorithm": "flip", "status": "finished", "created_at": 1, "ended_at": 1}
    with each_database.begin() as connection:
        connection.execute(insert(Task), [row] * 6000)
        connection.execute(insert(Task), [{"source_id": 1, "algorithm": "flip"}] * 2000)
        connection.execute(text("ANALYZE tasks"))

    with psycopg.connect(libpq_url(url)) as dump:
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        dump.execute("SELECT count(*) FROM tasks WHERE false")
        while retention.run():
            pass
        pages = PagesRead(each_database.engine, url)
        retention.run()
        pages.close()

    assert pages.statements == 1
    assert pages.most < 75, "a step reads 1,000 tasks, and the deleted ones have over 140 pages"


def test_a_task_with_an_unexpected_id_is_deleted_when_a_walk_begins_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "BEGIN_AGAIN_SECONDS", 0)
    below = add_task(database, "finished", hours=3)
    kept = add_task(database, "pending", hours=3)
    retention = Retention(database, 2 * HOUR)
    retention.run()

    add_task(database, "finished", hours=3, id=below)

    assert (retention.run(), ids(database)) == (1, [kept])


def test_a_batch_goes_with_its_last_task(database: Database) -> None:
    gone, kept = add_batch(database), add_batch(database)
    for batch_id in (gone, gone, kept):
        add_task(database, "finished", hours=3, batch_id=batch_id)
    add_task(database, "pending", hours=3, batch_id=kept)

    Retention(database, 2 * HOUR).run()

    assert batches(database) == [kept]


def test_idempotency_keys_expire(database: Database) -> None:
    with database.write() as session:
        for key, age in (("old", KEY_LIFETIME + 60), ("young", KEY_LIFETIME - 60)):
            values = {"owner": "local", "key": key, "fingerprint": "", "batch_id": 1, "task_ids": [[1, 1]]}
            session.execute(insert(BatchKey).values(created_at=epoch_now() - age, **values))

    forget_expired(database)

    with database.read() as session:
        assert session.scalars(select(BatchKey.key)).all() == ["young"]


@pytest.mark.parametrize(
    ("numbers", "ranges"),
    [([], []), ([5], [[5, 5]]), ([5, 6, 7], [[5, 7]]), ([5, 7, 8, 10], [[5, 5], [7, 8], [10, 10]])],
)
def test_ids_are_stored_as_ranges(numbers: list[int], ranges: list[list[int]]) -> None:
    assert ranges_of(numbers) == ranges
