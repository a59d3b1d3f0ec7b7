"""The metrics of tasks and webhooks."""

import pytest
from image_processor.models import Callback, Task
from image_processor.services.tasks.metrics import TaskMetrics
from service_kit.database import Database, epoch_now
from sqlalchemy import delete, insert, update

URL = "http://127.0.0.1:9/"


def samples(database: Database) -> dict[str, float]:
    found = [sample for metric in TaskMetrics(database).collect() for sample in metric.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in found}


def test_without_tasks_all_metrics_are_zero(database: Database) -> None:
    assert samples(database) == {
        "pixmill_tasks pending": 0,
        "pixmill_tasks processing": 0,
        "pixmill_tasks error": 0,
        "pixmill_tasks cancelled": 0,
        "pixmill_tasks finished": 0,
        "pixmill_oldest_pending_task_seconds": 0,
        "pixmill_webhooks": 0,
    }


@pytest.mark.parametrize("status", ["pending", "processing", "error", "cancelled", "finished"])
def test_each_status_is_counted(database: Database, status: str) -> None:
    with database.write() as session:
        session.execute(insert(Task), [{"source_id": 1, "algorithm": "flip"}] * 3)
        session.execute(update(Task).where(Task.id > 1).values(status=status))

    counted = {"pending": 1, status: 3 if status == "pending" else 2}
    found = {name: value for name, value in samples(database).items() if name.startswith("pixmill_tasks") and value}
    assert found == {f"pixmill_tasks {name}": value for name, value in counted.items()}


@pytest.mark.parametrize("oldest", range(4))
def test_the_oldest_pending_task_counts_for_every_owner_and_priority(database: Database, oldest: int) -> None:
    for number, (owner, priority) in enumerate([("ann", 0), ("bob", 0), ("ann", 5), ("bob", 9)]):
        age = 9000 if number == oldest else 100
        with database.write() as session:
            values = {"source_id": 1, "algorithm": "flip", "owner": owner, "priority": priority}
            session.execute(insert(Task).values(created_at=epoch_now() - age, **values))

    assert samples(database)["pixmill_oldest_pending_task_seconds"] == pytest.approx(9000, abs=1000)


def test_a_webhook_is_counted_until_it_is_delivered(database: Database) -> None:
    with database.write() as session:
        session.execute(insert(Task), {"source_id": 1, "algorithm": "flip", "callback_url": URL})
        session.execute(update(Task).values(status="finished", result_id=7))
    undelivered = samples(database)["pixmill_webhooks"]

    with database.write() as session:
        session.execute(delete(Callback))

    assert (undelivered, samples(database)["pixmill_webhooks"]) == (1, 0)
