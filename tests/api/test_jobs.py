"""Tasks: cancel, delete, restart and list; priorities, the result cache and large batches."""

import json
from collections.abc import Iterator, Sequence

import pytest
from pixmill.client.answers import Task

from tests.support.client import FILES, TASKS, Served, assert_problem, ended_task, result_bytes
from tests.support.images import photo


def failed_task(pixmill: Served) -> int:
    source = pixmill.files.upload(b"just text", name="text.jpg")
    task_id = pixmill.run([source.id], "flip").task_ids[0]
    assert ended_task(pixmill, task_id).status == "error"
    return task_id


def finished_task(pixmill: Served, content: bytes | None = None, **more: object) -> Task:
    source = pixmill.files.upload(content or photo(), name="p.png")
    body = {"file_ids": [source.id], "algorithm": "flip", **more}
    return ended_task(pixmill, pixmill.http.post(f"{TASKS}/", json=body).json()["task_ids"][0])


def listed(pixmill: Served, **query: object) -> list[int]:
    return [task["id"] for task in pixmill.http.get(f"{TASKS}/", params=query).json()]  # type: ignore[arg-type]  # plain


def test_a_task_that_has_ended_cannot_be_cancelled(pixmill: Served) -> None:
    task = finished_task(pixmill)

    assert_problem(pixmill.http.post(f"{TASKS}/{task.id}/cancel"), 409, "finished")
    assert_problem(pixmill.http.post(f"{TASKS}/999999999/cancel"), 404, "999999999")


@pytest.mark.both_stacks
def test_pending_tasks_are_cancelled_at_once_and_run_again_after_a_restart(pixmill: Served) -> None:
    last = create_slow_tasks(pixmill, large_photos(pixmill, 12))[-1]

    cancelled = pixmill.http.post(f"{TASKS}/{last}/cancel")
    restarted = pixmill.http.post(f"{TASKS}/{last}/restart")

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (restarted.status_code, restarted.json()["status"]) == (200, "pending")
    assert ended_task(pixmill, last).status == "finished"


def test_an_ended_task_is_deleted_and_its_result_stays(pixmill: Served) -> None:
    task = finished_task(pixmill)

    response = pixmill.http.delete(f"{TASKS}/{task.id}")

    assert (response.status_code, response.content) == (204, b"")
    assert "Content-Type" not in response.headers
    assert_problem(pixmill.http.get(f"{TASKS}/{task.id}"), 404, str(task.id))
    assert pixmill.http.get(f"{FILES}/{task.result_id}").status_code == 200


def test_a_result_says_which_task_made_it_from_which_file(pixmill: Served) -> None:
    task = finished_task(pixmill)

    made = pixmill.http.get(f"{FILES}/", params={"task_id": task.id}).json()
    copied = finished_task(pixmill)

    assert [(file["id"], file["origin"], file["source_id"]) for file in made] == [
        (task.result_id, "result", task.source_id)
    ]
    reused = pixmill.http.get(f"{FILES}/{copied.result_id}").json()
    assert (reused["task_id"], reused["source_id"]) == (copied.id, copied.source_id)


def test_a_running_task_is_not_deleted(pixmill: Served) -> None:
    last = create_slow_tasks(pixmill, large_photos(pixmill, 8))[-1]

    assert_problem(pixmill.http.delete(f"{TASKS}/{last}"), 409, "cancel it first")


@pytest.mark.both_stacks
def test_all_tasks_in_error_are_restarted_at_once(pixmill: Served) -> None:
    mine = [failed_task(pixmill), failed_task(pixmill)]

    response = pixmill.http.post(f"{TASKS}/restart", json={"status": "error", "algorithm": "flip"})

    assert response.status_code == 200
    assert set(response.json()["task_ids"]) >= set(mine)
    assert {ended_task(pixmill, task_id).status for task_id in mine} == {"error"}


@pytest.mark.parametrize("body", [{}, {"status": "finished"}, {"status": "error", "colour": 1}, []])
def test_a_wrong_bulk_restart_is_refused(pixmill: Served, body: object) -> None:
    assert_problem(pixmill.http.post(f"{TASKS}/restart", json=body), 422, "")


@pytest.mark.both_stacks
def test_the_list_is_filtered(pixmill: Served) -> None:
    bad, good = failed_task(pixmill), finished_task(pixmill)

    assert bad in listed(pixmill, status="error")
    assert good.id not in listed(pixmill, status="error")
    assert listed(pixmill, id=[good.id, bad]) == [bad, good.id]
    assert listed(pixmill, source_id=good.source_id, algorithm="flip") == [good.id]
    assert listed(pixmill, source_id=good.source_id, algorithm="resize") == []


@pytest.mark.both_stacks
def test_the_list_has_the_tasks_of_one_cause(pixmill: Served) -> None:
    text = pixmill.files.upload(b"just text", name="text.jpg").id
    small = pixmill.files.upload(photo(10, 10), name="small.png").id
    run = pixmill.run([text, small], "crop", params={"left": 50, "top": 50})
    for task_id in run.task_ids:
        ended_task(pixmill, task_id)

    causes = run.progress().errors

    tasks = [[task.id for task in pixmill.tasks.list(cause=cause.key)] for cause in causes]
    assert tasks == [[cause.task_id] for cause in causes]
    assert sorted(cause.task_id for cause in causes) == list(run.task_ids)


def test_the_link_to_the_next_page_keeps_the_filter(pixmill: Served) -> None:
    mine = [failed_task(pixmill) for _ in range(3)]

    first = pixmill.http.get(f"{TASKS}/", params={"status": "error", "id": mine, "limit": 2})
    second = pixmill.http.get(first.links["next"]["url"])

    assert [task["id"] for task in first.json() + second.json()] == mine


@pytest.mark.parametrize("query", ["status=lost", "id=0", "id=x", "source_id=-1", "colour=red"])
def test_a_wrong_filter_is_refused(pixmill: Served, query: str) -> None:
    assert_problem(pixmill.http.get(f"{TASKS}/?{query}"), 422, query.split("=")[0])


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"priority": 10}, "priority"),
        ({"priority": -1}, "priority"),
        ({"priority": "high"}, "priority"),
        ({"cache": "no"}, "cache"),
        ({"callback_url": "ftp://example.org/"}, "callback_url"),
        ({"callback_url": "http://user:secret@example.org/"}, "callback_url"),
        ({"callback_url": "nonsense"}, "callback_url"),
    ],
)
def test_wrong_options_are_refused(pixmill: Served, more: dict[str, object], word: str) -> None:
    source = pixmill.files.upload(photo(), name="p.png")

    response = pixmill.http.post(f"{TASKS}/", json={"file_ids": [source.id], "algorithm": "flip", **more})

    assert_problem(response, 422, word)


def test_an_urgent_task_does_not_wait_behind_a_batch(pixmill: Served) -> None:
    sources = large_photos(pixmill, 20)
    small = pixmill.files.upload(photo(50, 60), name="small.png").id
    with pixmill.http.stream("GET", f"{TASKS}/events", timeout=600) as events:
        lines = events.iter_lines()
        next(lines)
        # More tasks than all worker processes take at once.
        batch = {task_id for _ in range(3) for task_id in create_slow_tasks(pixmill, sources)}
        [urgent] = pixmill.http.post(
            f"{TASKS}/", json={"file_ids": [small], "algorithm": "flip", "priority": 9}
        ).json()["task_ids"]

        ended = ended_in_order(lines, batch | {urgent})

    # Without its priority, it would be among the last few tasks, one per process.
    assert len(ended) - ended.index(urgent) > 4


def large_photos(pixmill: Served, count: int) -> list[object]:
    """Upload one photo many times; return the ids."""
    content = photo(2400, 1600, format="JPEG")
    return [pixmill.files.upload(content, name=f"{n}.jpg").id for n in range(count)]


def create_slow_tasks(pixmill: Served, file_ids: list[object]) -> list[int]:
    """Create tasks of which each takes longer than a request, because no result is reused."""
    body = {"file_ids": file_ids, "algorithm": "resize", "params": {"width": 1600}, "cache": False}
    created: list[int] = pixmill.http.post(f"{TASKS}/", json=body).json()["task_ids"]
    return created


def ended_in_order(lines: Iterator[str], task_ids: set[int]) -> Sequence[int]:
    """Return these tasks in the order in which they end, according to the event stream."""
    ended: list[int] = []
    while len(ended) < len(task_ids):
        line = next(lines)
        event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
        if event.get("id") in task_ids and event["status"] in ("finished", "error", "cancelled"):
            ended.append(event["id"])
    return ended


def made_twice(pixmill: Served, content: bytes, **more: object) -> Sequence[Task]:
    return [finished_task(pixmill, content, **more) for _ in range(2)]


@pytest.mark.both_stacks
def test_the_result_of_an_equal_task_is_reused(pixmill: Served) -> None:
    first, second = made_twice(pixmill, photo(123, 77))

    assert first.result_id != second.result_id
    assert result_bytes(pixmill, first) == result_bytes(pixmill, second)


@pytest.mark.both_stacks
def test_a_cached_result_survives_the_deletion_of_the_first(pixmill: Served) -> None:
    first, second = made_twice(pixmill, photo(124, 77))
    pixmill.http.delete(f"{FILES}/{first.result_id}")

    third = finished_task(pixmill, photo(124, 77))

    assert result_bytes(pixmill, third) == result_bytes(pixmill, second)


def test_a_cached_result_has_the_name_of_its_own_source(pixmill: Served) -> None:
    names = []
    for name in ("first.png", "second.png"):
        source = pixmill.files.upload(photo(125, 77), name=name)
        task = ended_task(pixmill, pixmill.run([source.id], "flip").task_ids[0])
        names.append(pixmill.http.get(f"{FILES}/{task.result_id}").json()["name"])

    assert names == ["first", "second"]
