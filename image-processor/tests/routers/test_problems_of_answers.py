"""A failed task in responses: the sentence in English, and the problem in the language of the request."""

import json

import pytest
from flask.testing import FlaskClient
from image_processor.models import Batch, Task, TaskStatus
from image_processor.services.causes import Cause, stored_problem
from service_kit.database import Database
from service_kit.problems import TYPES
from service_kit.texts import sentence
from sqlalchemy import insert, update

DETAIL = sentence("The image has {frames} frames; the limit is {limit}.", frames=3, limit=2)
RUSSIAN = {"Accept-Language": "ru"}


def add_failed(database: Database, problem: str | None) -> int:
    with database.write() as session:
        new = insert(Task).values(
            source_id=1, algorithm="flip", status=TaskStatus.ERROR, error=str(DETAIL), error_problem=problem
        )
        return session.execute(new.returning(Task.id)).scalar_one()


@pytest.fixture
def task_id(database: Database) -> int:
    return add_failed(database, stored_problem(Cause.IMAGE_TOO_LARGE, DETAIL))


def test_a_failed_task_shows_its_sentence_and_its_problem(client: FlaskClient, task_id: int) -> None:
    task = json.loads(client.get(f"/{task_id}").data)

    assert task["error"] == DETAIL
    assert task["problem"] == {
        "type": "urn:pixmill:problem:image-too-large",
        "detail": DETAIL,
        "context": {"frames": 3, "limit": 2},
    }


def test_the_problem_is_in_russian_and_the_sentence_stays(client: FlaskClient, task_id: int) -> None:
    response = client.get(f"/{task_id}", headers=RUSSIAN)
    task = json.loads(response.data)

    assert (response.headers["Content-Language"], "Accept-Language" in response.headers["Vary"]) == ("ru", True)
    assert task["error"] == DETAIL
    assert task["problem"]["detail"] == "В изображении 3 кадров; предел — 2."


@pytest.mark.parametrize("query", ["", "?limit=5"])
def test_a_list_has_the_problems_too(client: FlaskClient, task_id: int, query: str) -> None:
    [task] = json.loads(client.get(f"/{query}", headers=RUSSIAN).data)

    assert task["problem"]["detail"] == "В изображении 3 кадров; предел — 2."


def test_a_task_that_failed_before_problems_were_kept_has_none(client: FlaskClient, database: Database) -> None:
    task = json.loads(client.get(f"/{add_failed(database, None)}").data)

    assert (task["error"], task["problem"]) == (DETAIL, None)


def test_a_restart_removes_the_problem(client: FlaskClient, task_id: int) -> None:
    task = json.loads(client.post(f"/{task_id}/restart").data)

    assert (task["status"], "error" in task, "problem" in task) == ("pending", False, False)


def test_the_causes_of_a_batch_are_in_russian_and_the_error_of_the_example_stays(
    client: FlaskClient, database: Database, task_id: int
) -> None:
    with database.write() as session:
        batch = insert(Batch).values(algorithm="flip", params={}, tasks=1).returning(Batch.id)
        batch_id = session.execute(batch).scalar_one()
        session.execute(update(Task).where(Task.id == task_id).values(batch_id=batch_id))

    [cause] = json.loads(client.get(f"/batches/{batch_id}", headers=RUSSIAN).data)["errors"]

    assert (cause["cause"], cause["type"]) == ("В изображении … кадров; предел — ….", f"{TYPES}image-too-large")
    assert (cause["tasks"], cause["task_id"], cause["error"]) == (1, task_id, DETAIL)
    assert cause["problem"] == {
        "type": f"{TYPES}image-too-large",
        "detail": "В изображении 3 кадров; предел — 2.",
        "context": {"frames": 3, "limit": 2},
    }
