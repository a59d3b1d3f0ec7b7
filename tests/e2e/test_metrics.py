"""Metrics, read by Prometheus' own parser."""

import os
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.client import FILES, TASKS, Served, assert_problem, ended_task, http
from tests.support.stacks import EmbeddedStack, FullStack


@pytest.fixture(params=["embedded", "full"])
def watched(request: pytest.FixtureRequest) -> EmbeddedStack | FullStack:
    started: EmbeddedStack | FullStack = request.getfixturevalue(request.param)
    return started


@pytest.fixture
def pixmill(watched: EmbeddedStack | FullStack) -> Iterator[Served]:
    with Served(watched.url) as client:
        yield client


def metrics(stack: EmbeddedStack | FullStack, place: str) -> dict[str, float]:
    url = stack.inner_url if isinstance(stack, FullStack) else stack.url
    response = http.get(f"{url}{place}/metrics").raise_for_status()
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = [sample for family in text_string_to_metric_families(response.text) for sample in family.samples]
    return {"".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def test_stored_files_and_bytes_are_counted(watched: EmbeddedStack | FullStack, pixmill: Served) -> None:
    content = os.urandom(1000)
    before = metrics(watched, FILES)

    for _ in range(2):
        pixmill.files.upload(content, name="a.bin")

    after = metrics(watched, FILES)
    assert after["pixmill_files"] == before["pixmill_files"] + 2
    assert after["pixmill_stored_bytes"] == before["pixmill_stored_bytes"] + len(content)
    assert after["pixmill_quota_bytes"] == 0
    assert 0 < after["pixmill_room_bytes"] < 2**60


def test_incomplete_uploads_are_counted(watched: EmbeddedStack | FullStack, pixmill: Served) -> None:
    before = metrics(watched, FILES)["pixmill_resumable_uploads"]

    begin = {"Tus-Resumable": "1.0.0", "Upload-Length": "3"}
    url = pixmill.http.post(f"{FILES}/uploads/", headers=begin).headers["Location"]
    begun = metrics(watched, FILES)["pixmill_resumable_uploads"]
    pixmill.http.delete(url, headers={"Tus-Resumable": "1.0.0"}).raise_for_status()

    assert (begun, metrics(watched, FILES)["pixmill_resumable_uploads"]) == (before + 1, before)


def test_failed_tasks_are_counted(watched: EmbeddedStack | FullStack, pixmill: Served) -> None:
    before = metrics(watched, TASKS)

    task_id = pixmill.run([pixmill.files.upload(b"no image", name="a.jpg").id], "flip").task_ids[0]
    ended_task(pixmill, task_id)

    after = metrics(watched, TASKS)
    assert after["pixmill_taskserror"] == before["pixmill_taskserror"] + 1
    assert (after["pixmill_taskspending"], after["pixmill_tasksprocessing"]) == (0, 0)
    assert after["pixmill_oldest_pending_task_seconds"] == 0
    # Other tests may have left webhooks to addresses that do not answer.
    assert after["pixmill_webhooks"] <= before["pixmill_webhooks"]


def test_pending_tasks_are_counted(full: FullStack) -> None:
    full.worker.stop()
    try:
        with Served(full.url) as client:
            file_id = client.files.upload(b"no image", name="a.jpg").id
            task_id = client.run([file_id], "flip").task_ids[0]

            waiting = metrics(full, TASKS)
    finally:
        full.worker.start()

    with Served(full.url) as client:
        ended_task(client, task_id)
    assert waiting["pixmill_taskspending"] == 1
    assert waiting["pixmill_oldest_pending_task_seconds"] > 0


@pytest.mark.parametrize("place", [FILES, TASKS])
def test_the_published_port_has_no_metrics(full: FullStack, place: str) -> None:
    for path in ("metrics", "metrics/"):
        assert_problem(http.get(f"{full.url}{place}/{path}"), 404, "nothing")
