"""The statistics of tasks in the API."""

from flask.testing import FlaskClient
from image_processor.models import Task
from image_processor.services.tasks.ended import DAYS
from service_kit.database import Database
from sqlalchemy import insert, update


def test_tasks_are_counted_by_status_and_day(client: FlaskClient, database: Database) -> None:
    with database.write() as session:
        session.execute(insert(Task), [{"source_id": 1, "algorithm": "flip"}] * 4)
        session.execute(update(Task).where(Task.id <= 2).values(status="finished"))
        session.execute(update(Task).where(Task.id == 3).values(status="error"))

    numbers = client.get("/stats").json

    assert numbers is not None
    assert numbers["tasks"] == {"pending": 1, "processing": 0, "error": 1, "cancelled": 0, "finished": 2}
    assert len(numbers["by_day"]) == DAYS
    today = numbers["by_day"][-1]
    assert (today["finished"], today["error"], today["cancelled"]) == (2, 1, 0)
