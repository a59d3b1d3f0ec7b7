"""Batches over HTTP, with the file server in the same process: creation, responses, changes and refusals."""

import asyncio
import logging
from collections.abc import Iterator
from typing import NamedTuple

import httpx2
import pytest
import structlog
from file_storage.app import create_app as create_file_server
from file_storage.routers.schemas import MAX_EXPIRES_IN as LONGEST_OF_A_FILE
from flask.testing import FlaskClient
from image_processor.app import create_app
from image_processor.events import create_app as create_events
from image_processor.models import Batch, Task
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.principals import WRITER
from service_kit.database import Database
from sqlalchemy import func, select, text, update
from starlette.applications import Starlette
from werkzeug.test import TestResponse

from tests.support.databases import empty_sqlite
from tests.support.environment import ENVIRONMENT, PROJECT

LONG = {"steps": [{"algorithm": "blur", "params": {"radius": 1 + n}} for n in range(20)]}
COUNTS = {"pending": 0, "processing": 0, "finished": 0, "error": 0, "cancelled": 0}


class Created(NamedTuple):
    """The response to the creation of a batch."""

    batch_id: int
    task_ids: list[int]


class Api(NamedTuple):
    """Both services and the task database. Requests without an owner come from the machine's own user."""

    tasks: FlaskClient
    files: FlaskClient
    events: Starlette
    database: Database
    keys: KeyService
    secrets: dict[str, str]
    """The key of each owner."""

    def as_owner(self, owner: str | None) -> dict[str, str]:
        if owner is None:
            return {}
        if owner not in self.secrets:
            self.secrets[owner] = self.keys.create(KeyRequest(owner, WRITER)).secret
        return {"Authorization": f"Bearer {self.secrets[owner]}"}

    def post(self, path: str, body: object, owner: str | None = None, **headers: str) -> TestResponse:
        return self.tasks.post(path, json=body, headers=headers | self.as_owner(owner))

    def get(self, path: str, owner: str | None = None) -> TestResponse:
        return self.tasks.get(path, headers=self.as_owner(owner))

    def document(self, path: str, owner: str | None = None) -> dict[str, object]:
        answer = self.get(path, owner)
        assert answer.status_code == 200, answer.text
        document: dict[str, object] = answer.get_json()
        return document

    def ids(self, path: str, owner: str | None = None) -> list[int]:
        return [row["id"] for row in self.get(path, owner).get_json()]

    def body(self, files: int = 1, owner: str | None = None, **more: object) -> dict[str, object]:
        """Return the request body for a batch of new files."""
        return {"file_ids": [self.file(owner) for _ in range(files)], "algorithm": "flip", **more}

    def create(self, files: int = 1, owner: str | None = None, **more: object) -> Created:
        answer = self.post("/", self.body(files, owner, **more), owner)
        assert answer.status_code == 201, answer.text
        return Created(**answer.get_json())

    def file(self, owner: str | None) -> int:
        answer = self.files.put("/?name=rocket.jpg", data=b"bytes", headers=self.as_owner(owner))
        assert answer.status_code == 201, answer.text
        file_id: int = answer.get_json()["id"]
        return file_id

    def set_status(self, task_ids: list[int], status: str, **values: object) -> None:
        with self.database.write() as session:
            session.execute(update(Task).where(Task.id.in_(task_ids)).values(status=status, **values))

    def statuses(self, created: Created) -> list[str]:
        with self.database.read() as session:
            return list(session.scalars(select(Task.status).where(Task.batch_id == created.batch_id).order_by(Task.id)))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("batch-routes")
    handlers, level = logging.root.handlers[:], logging.root.level
    settings = {
        "ACCESS_DATABASE__URL": f"sqlite:///{folder}/access.db",
        "FILE_STORAGE_DATABASE__URL": f"sqlite:///{folder}/files.db",
        "FILE_STORAGE_STORAGE__FOLDER": str(folder),
        "FILE_STORAGE_STORAGE__RESERVE_BYTES": "0",
        "FILE_STORAGE_UPLOAD__BODY_FOLDER": "",
        "IMAGE_PROCESSOR_DATABASE__URL": f"sqlite:///{folder}/tasks.db",
        "IMAGE_PROCESSOR_BROKER__URL": "memory://",
        "IMAGE_PROCESSOR_FILE_STORAGE__URL": "wsgi://file_storage.app/api/file-server",
    }
    for name, package in (("access", "service_kit.access"), ("files", "file_storage"), ("tasks", "image_processor")):
        empty_sqlite(folder / f"{name}.db", package)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        for name, value in (ENVIRONMENT | settings).items():
            patch.setenv(name, value)
        files, tasks = create_file_server().test_client(), create_app().test_client()
        keys = KeyService(Database(settings["ACCESS_DATABASE__URL"]))
        yield Api(tasks, files, create_events(), Database(f"sqlite:///{folder}/tasks.db"), keys, {})
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def test_a_new_batch_and_its_tasks_are_listed_newest_first(api: Api) -> None:
    first, second = api.create(2), api.create(1)

    assert api.ids("/batches")[:2] == [second.batch_id, first.batch_id]
    assert api.ids(f"/batches?after={second.batch_id}")[0] == first.batch_id
    assert api.ids(f"/?batch_id={first.batch_id}&sort=-id") == first.task_ids[::-1]
    assert api.ids("/?sort=-id&limit=2") == [second.task_ids[0], first.task_ids[1]]


def test_the_link_leads_to_the_older_batches(api: Api) -> None:
    older, newer = api.create(), api.create()

    page = api.get("/batches?limit=1")

    assert [row["id"] for row in page.get_json()] == [newer.batch_id]
    [link] = page.headers.getlist("Link")
    assert api.ids(link[link.index("/batches") : link.index(">")]) == [older.batch_id]


def test_a_task_shows_its_source_its_times_and_what_its_batch_has(api: Api) -> None:
    created = api.create(preset="web", algorithm=None)

    task = api.document(f"/{created.task_ids[0]}")

    expected = {"batch_id": created.batch_id, "preset": "web", "source_name": "rocket.jpg", "attempt": 0}
    assert {name: task[name] for name in expected} == expected
    assert str(task["created_at"]).endswith(" GMT")
    assert (task["started_at"], task["ended_at"]) == (None, None)
    assert isinstance(task["params"], dict)
    assert task["params"] == api.document(f"/batches/{created.batch_id}")["params"]


def test_params_are_stored_once_for_a_batch(api: Api) -> None:
    created = api.create(5, algorithm="pipeline", params=LONG, callback_url="https://example.org/hook")

    with api.database.connect() as connection:
        [batch] = connection.execute(select(Batch).where(Batch.id == created.batch_id))
        own = select(func.count(Task.params), func.count(Task.callback_url)).where(Task.batch_id == created.batch_id)
        assert connection.execute(own).all() == [(0, 0)]
    assert (batch.params, batch.callback_url) == (LONG, "https://example.org/hook")
    assert api.document(f"/{created.task_ids[4]}")["params"] == LONG


def test_a_batch_counts_its_tasks_and_groups_their_errors(api: Api) -> None:
    created = api.create(5)
    a, b, c, d, _ = created.task_ids
    api.set_status([a], "error", error="The crop lies outside 512 × 300.", started_at=100.0, ended_at=101.0)
    api.set_status([b], "error", error="The crop lies outside 64 × 48.", started_at=100.0, ended_at=102.0)
    api.set_status([c], "error", error="This is not an image.", started_at=100.0, ended_at=103.0)
    api.set_status([d], "finished", result_id=1, started_at=100.0, ended_at=104.0)

    running = api.document(f"/batches/{created.batch_id}")
    errors = api.get(f"/batches/{created.batch_id}").get_json()["errors"]
    api.post("/cancel", {"batch_id": created.batch_id})
    ended = api.document(f"/batches/{created.batch_id}")

    assert running["counts"] == COUNTS | {"error": 3, "finished": 1, "pending": 1}
    assert (running["status"], running["tasks"], running["ended_at"], running["rate"]) == ("running", 5, None, 0.0)
    keys = [error.pop("key") for error in errors]
    assert [api.ids(f"/?cause={key}") for key in keys] == [[a, b], [c]]
    assert errors == [
        {
            "cause": "The crop lies outside … × ….",
            "type": None,
            "tasks": 2,
            "task_id": a,
            "error": "The crop lies outside 512 × 300.",
            "problem": None,
        },
        {
            "cause": "This is not an image.",
            "type": None,
            "tasks": 1,
            "task_id": c,
            "error": "This is not an image.",
            "problem": None,
        },
    ]
    assert (ended["status"], ended["seconds_left"]) == ("ended", 0)
    assert ended["started_at"] == "Thu, 01 Jan 1970 00:01:40 GMT"


def test_the_same_request_under_a_key_creates_one_batch(api: Api) -> None:
    body = api.body(3, params=None)

    answers = [api.post("/", body, **{"Idempotency-Key": "a lost answer"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    first, second = (Created(**answer.get_json()) for answer in answers)
    assert first == second
    assert api.ids(f"/?after={first.task_ids[0] - 1}") == first.task_ids


def test_a_key_answers_the_same_after_its_tasks_and_files_are_deleted(api: Api) -> None:
    body = api.body(2)
    first = Created(**api.post("/", body, **{"Idempotency-Key": "deleted since"}).get_json())
    api.set_status(first.task_ids, "finished")
    api.tasks.delete(f"/batches/{first.batch_id}")
    api.files.delete(f"/{body['file_ids'][0]}")  # type: ignore[index]  # a list

    again = api.post("/", body, **{"Idempotency-Key": "deleted since"})

    assert (again.status_code, Created(**again.get_json())) == (201, first)


def test_a_key_of_another_request_is_refused_and_of_another_owner_is_another_key(api: Api) -> None:
    api.post("/", api.body(), **{"Idempotency-Key": "used"})

    other = api.post("/", api.body(), **{"Idempotency-Key": "used"})
    anns = api.post("/", api.body(owner="ann"), "ann", **{"Idempotency-Key": "used"})

    assert (other.status_code, other.get_json()["type"]) == (422, "urn:pixmill:problem:idempotency-key-reused")
    assert anns.status_code == 201


@pytest.mark.parametrize("key", ["", "ключ", "k" * 256])
def test_a_wrong_key_is_refused(api: Api, key: str) -> None:
    answer = api.post("/", {}, **{"Idempotency-Key": key})

    assert (answer.status_code, answer.get_json()["type"]) == (400, "urn:pixmill:problem:invalid-idempotency-key")


def test_a_key_may_be_used_again_for_a_batch_that_was_refused(api: Api) -> None:
    wrong, right = {"file_ids": [10**9], "algorithm": "flip"}, api.body()

    refused = api.post("/", wrong, **{"Idempotency-Key": "try again"})
    created = api.post("/", right, **{"Idempotency-Key": "try again"})

    assert (refused.status_code, created.status_code) == (404, 201)


def test_the_tasks_of_a_batch_are_cancelled_restarted_and_forgotten(api: Api) -> None:
    created, other = api.create(3), api.create(1)
    api.set_status(created.task_ids[:1], "finished")

    cancelled = api.post("/cancel", {"batch_id": created.batch_id}).get_json()
    after_cancel = api.statuses(created)
    restarted = api.post("/restart", {"batch_id": created.batch_id}).get_json()
    after_restart = api.statuses(created)
    forgotten = api.post("/forget", {"batch_id": created.batch_id}).get_json()

    assert cancelled == restarted == {"task_ids": created.task_ids[1:], "more": False}
    assert after_cancel == ["finished", "cancelled", "cancelled"]
    assert after_restart == ["finished", "pending", "pending"]
    assert forgotten == {"task_ids": created.task_ids[:1], "more": False}
    assert api.statuses(created) == ["pending", "pending"]
    assert api.statuses(other) == ["pending"]


def test_chosen_ids_are_changed_as_far_as_their_state_allows(api: Api) -> None:
    created = api.create(3)
    api.set_status(created.task_ids[:1], "error", error="no")

    restarted = api.post("/restart", {"ids": created.task_ids[:2]})

    assert restarted.get_json() == {"task_ids": created.task_ids[:1], "more": False}


def test_a_restart_by_status_works_as_it_did_before_there_were_batches(api: Api) -> None:
    created = api.create(2)
    api.set_status(created.task_ids[:1], "error", error="no")
    api.set_status(created.task_ids[1:], "cancelled")

    restarted = api.post("/restart", {"status": "error"})

    assert (restarted.status_code, restarted.get_json()["task_ids"][-1]) == (200, created.task_ids[0])
    assert api.statuses(created) == ["pending", "cancelled"]


def test_the_cursor_of_a_response_continues_the_request(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("image_processor.services.tasks.bulk.STEP", 1)
    monkeypatch.setattr("image_processor.services.tasks.bulk.MOST_TASKS", 1)
    created = api.create(2)
    api.set_status(created.task_ids, "error", error="no")

    first = api.post("/restart", {"batch_id": created.batch_id}).get_json()
    api.set_status(created.task_ids[:1], "error", error="no")
    rest = api.post("/restart", {"batch_id": created.batch_id, "cursor": first["cursor"]}).get_json()

    assert (first["task_ids"], first["more"]) == (created.task_ids[:1], True)
    assert rest == {"task_ids": created.task_ids[1:], "more": False}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"cursor": "0-1-2"}, ""),
        ({"ids": [1], "cursor": "0-1-2"}, ""),
        ({"batch_id": 1, "cursor": "x"}, "/cursor"),
        ({"batch_id": 1, "cursor": None}, "/cursor"),
        ({"batch_id": 1, "cursor": "0-1-" + "9" * 19}, "/cursor"),
    ],
)
def test_a_wrong_cursor_is_refused(api: Api, body: dict[str, object], pointer: str) -> None:
    refused = api.post("/restart", body)

    assert (refused.status_code, [error["pointer"] for error in refused.get_json()["errors"]]) == (422, [pointer])


@pytest.mark.parametrize("cause", ["zz", "0-" + "a" * 16, "1-" + "g" * 16, "1-" + "a" * 16 + "%0A"])
def test_a_cause_that_is_not_a_key_is_refused(api: Api, cause: str) -> None:
    refused = api.get(f"/?cause={cause}")

    assert (refused.status_code, [error["pointer"] for error in refused.get_json()["errors"]]) == (422, ["/cause"])


def test_the_tasks_of_an_algorithm_that_was_removed_are_found(api: Api) -> None:
    created = api.create(1)
    with api.database.write() as session:
        session.execute(update(Task).where(Task.id == created.task_ids[0]).values(algorithm="was_removed"))

    assert api.ids("/?algorithm=was_removed") == created.task_ids


def test_a_batch_counts_the_tasks_that_were_deleted(api: Api) -> None:
    created = api.create(4)
    for place, task_id in enumerate(created.task_ids):
        api.set_status([task_id], "finished", started_at=100.0 + place, ended_at=100.003 + place)

    whole = api.document(f"/batches/{created.batch_id}")
    api.post("/forget", {"ids": created.task_ids[1:]})
    rest = api.document(f"/batches/{created.batch_id}")

    assert (whole["tasks"], whole["counts"], whole["forgotten"]) == (4, COUNTS | {"finished": 4}, 0)
    assert (rest["tasks"], rest["counts"], rest["forgotten"]) == (4, COUNTS | {"finished": 1}, 3)
    assert [batch["forgotten"] for batch in api.get("/batches?limit=1").get_json()] == [3]


def test_the_tasks_that_are_left_of_a_batch_do_not_change_its_rate_to_theirs(api: Api) -> None:
    created = api.create(4)
    for place, task_id in enumerate(created.task_ids):
        api.set_status([task_id], "finished", started_at=100.0 + place, ended_at=100.003 + place)

    whole = api.document(f"/batches/{created.batch_id}")["rate"]
    api.post("/forget", {"ids": created.task_ids[1:]})
    rest = api.document(f"/batches/{created.batch_id}")["rate"]

    assert (whole, rest) == (1.332, 0.0)


def test_a_batch_is_deleted_with_its_last_task(api: Api) -> None:
    created = api.create(2)
    api.set_status(created.task_ids[:1], "finished")

    first = api.tasks.delete(f"/batches/{created.batch_id}")
    kept = api.get(f"/batches/{created.batch_id}")
    api.set_status(created.task_ids[1:], "finished")
    second = api.tasks.delete(f"/batches/{created.batch_id}")

    assert first.get_json() == {"forgotten": 1, "left": 1, "more": False}
    assert kept.get_json()["counts"] == COUNTS | {"pending": 1}
    assert second.get_json() == {"forgotten": 1, "left": 0, "more": False}
    assert api.get(f"/batches/{created.batch_id}").status_code == 404


def test_a_single_task_takes_its_batch_with_it(api: Api) -> None:
    created = api.create(1)
    api.set_status(created.task_ids, "finished")

    api.tasks.delete(f"/{created.task_ids[0]}")

    assert api.get(f"/batches/{created.batch_id}").status_code == 404


def test_the_batch_of_another_owner_does_not_exist(api: Api) -> None:
    cleos = api.create(1, "cleo")

    answers = [
        api.get(f"/batches/{cleos.batch_id}", "dan"),
        api.tasks.delete(f"/batches/{cleos.batch_id}", headers=api.as_owner("dan")),
        *(api.post(path, {"batch_id": cleos.batch_id}, "dan") for path in ("/cancel", "/restart", "/forget")),
    ]
    foreign = api.post("/cancel", {"ids": cleos.task_ids}, "dan")

    assert {(answer.status_code, answer.get_json()["type"]) for answer in answers} == {
        (404, "urn:pixmill:problem:batch-not-found")
    }
    assert (foreign.status_code, foreign.get_json()["type"]) == (404, "urn:pixmill:problem:task-not-found")
    assert api.ids("/batches", "dan") == api.ids(f"/?batch_id={cleos.batch_id}", "dan") == []
    assert api.ids("/batches", "cleo") == [cleos.batch_id]
    assert api.statuses(cleos) == ["pending"]


def test_a_filter_changes_no_task_of_another_owner(api: Api) -> None:
    anns, bobs = api.create(1, "ann"), api.create(1, "bob")

    cancelled = api.post("/cancel", {"status": ["pending", "processing"]}, "bob").get_json()

    assert cancelled == {"task_ids": bobs.task_ids, "more": False}
    assert api.statuses(anns) == ["pending"]


def test_repeated_filters_mean_any_of(api: Api) -> None:
    created = api.create(3)
    a, b, c = created.task_ids
    api.set_status([a], "error", error="no")
    api.set_status([b], "cancelled")
    sources = [api.document(f"/{task_id}")["source_id"] for task_id in (a, c)]

    assert api.ids(f"/?batch_id={created.batch_id}&status=error&status=cancelled") == [a, b]
    assert api.ids(f"/?source_id={sources[0]}&source_id={sources[1]}") == [a, c]
    assert api.ids(f"/?batch_id={created.batch_id}&algorithm=blur&algorithm=flip") == [a, b, c]
    assert api.ids(f"/?batch_id={created.batch_id}&algorithm=blur") == []


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/?batch_id=0", "/batch_id"),
        ("/?batch_id=x", "/batch_id"),
        ("/?batch_id=1&batch_id=2", "/batch_id"),
        ("/?sort=name", "/sort"),
        ("/?sort=id&sort=-id", "/sort"),
        ("/?limit=1&limit=2", "/limit"),
        ("/?before=5", "/before"),
        ("/?status=error&status=lost", "/status/1"),
        ("/batches?limit=101", "/limit"),
        ("/batches?limit=0", "/limit"),
        ("/batches?after=-1", "/after"),
        ("/batches?sort=created_at", "/sort"),
        ("/batches?status=error", "/status"),
    ],
)
def test_a_wrong_query_is_refused(api: Api, path: str, pointer: str) -> None:
    answer = api.get(path)

    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.get_json()["errors"]]


@pytest.mark.parametrize(
    "query",
    [
        "color=red",
        "batch_id=x",
        "batch_id=-1",
        "batch_id=",
        "batch_id=1&batch_id=2",
        "last_event_id=0-0&last_event_id=0-1",
        "id=x",
        "id=0",
        "id=1&id=0",
        "batch_id=0",
        "id=1&status=error",
    ],
)
def test_a_wrong_query_of_the_event_stream_is_refused(api: Api, query: str) -> None:
    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=api.events)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(f"/api/image-processing/events?{query}")

    answer = asyncio.run(ask())

    assert (answer.status_code, answer.json()["type"]) == (422, "urn:pixmill:problem:invalid-fields")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ({"ids": []}, "/ids"),
        ({"ids": [1, 1]}, "/ids"),
        ({"ids": ["1"]}, "/ids/0"),
        ({"ids": [0]}, "/ids/0"),
        ({"ids": [2**63]}, "/ids/0"),
        ({"ids": list(range(1, 10_002))}, "/ids"),
        ({"ids": [1], "batch_id": 1}, ""),
        ({"ids": [1], "algorithm": "flip"}, ""),
        ({"batch_id": 0}, "/batch_id"),
        ({"batch_id": "1"}, "/batch_id"),
        ({"batch_id": [1]}, "/batch_id"),
        ({"ids": None}, "/ids"),
        ({"batch_id": None}, "/batch_id"),
        ({"algorithm": None}, ""),
        ({"status": None}, "/status"),
        ({"status": "lost"}, "/status"),
        ({"status": []}, "/status"),
        ({"algorithm": 1}, "/algorithm"),
        ({"algorithm": "a\0"}, "/algorithm"),
        ({"batch_id": 1, "color": "red"}, "/color"),
    ],
)
def test_a_wrong_choice_of_tasks_is_refused(api: Api, body: object, pointer: str) -> None:
    answers = [api.post(path, body) for path in ("/cancel", "/restart", "/forget")]

    assert [answer.status_code for answer in answers] == [422] * 3
    assert all(pointer in [error["pointer"] for error in answer.get_json()["errors"]] for answer in answers)


@pytest.mark.parametrize(("path", "status"), [("/cancel", "error"), ("/restart", "finished"), ("/forget", "pending")])
def test_a_state_that_the_change_does_not_take_is_refused(api: Api, path: str, status: str) -> None:
    assert api.post(path, {"status": status}).status_code == 422
    assert api.post(path, {"status": [status]}).status_code == 422


def test_unknown_ids_are_named_and_nothing_is_changed(api: Api) -> None:
    created = api.create(1)

    answer = api.post("/cancel", {"ids": [*created.task_ids, 10**9]})

    assert answer.status_code == 404
    assert [error["detail"] for error in answer.get_json()["errors"]] == ["There is no task 1000000000."]
    assert api.statuses(created) == ["pending"]


@pytest.mark.parametrize("batch_id", ["999999999", "0", str(2**70)])
def test_an_unknown_batch_is_not_found(api: Api, batch_id: str) -> None:
    answers = [api.get(f"/batches/{batch_id}"), api.tasks.delete(f"/batches/{batch_id}")]

    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.parametrize("seconds", [0, -1, 1.5, "60", True, LONGEST_OF_A_FILE + 1])
def test_a_wrong_time_to_live_is_refused(api: Api, seconds: object) -> None:
    answer = api.post("/", {"file_ids": [1], "algorithm": "flip", "expires_in": seconds})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.get_json()["errors"]] == ["/expires_in"]


def test_a_task_from_before_there_were_batches_has_its_own_params(api: Api) -> None:
    with api.database.begin() as connection:
        insert = text("""
            INSERT INTO tasks (source_id, source_name, source_extension, status, algorithm, params, priority, cache,
                               result_key, restarts, attempt, crashes, due_at, created_at, updated_at)
            VALUES (1, 'a', '.jpg', 'finished', 'blur', '{"sigma": 2}', 0, true, 'old', 0, 1, 0, 0, 0, 0)
            RETURNING id
        """)
        task_id = connection.execute(insert).scalar_one()

    task = api.document(f"/{task_id}")

    assert (task["params"], task["batch_id"], task["preset"]) == ({"sigma": 2}, None, None)
