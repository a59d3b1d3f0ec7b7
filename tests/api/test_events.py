"""Server-Sent Events: every change of a task or file, in order; a listener continues where it stopped."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tests.support.client import CERTIFICATES, FILES, TASKS, Served, assert_problem, ended_task, new_key
from tests.support.images import photo
from tests.support.stacks import Stack
from tests.support.waiting import STATE_SECONDS, wait_until

EVENTS = f"{TASKS}/events"
WAIT_SECONDS = STATE_SECONDS

Event = dict[str, str]


def test_the_openapi_document_describes_the_stream(pixmill: Served) -> None:
    document = pixmill.http.get(f"{TASKS}/openapi.json").json()

    assert "text/event-stream" in document["paths"]["/events"]["get"]["responses"]["200"]["content"]


def events_in(lines: Iterator[str]) -> Iterator[Event]:
    """Yield the events of a stream without comments (WHATWG HTML, 9.2.6)."""
    event: Event = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif "data" in event:
            yield event
            event = {}


def is_of_task(event: Event, task_id: int) -> bool:
    return bool(event["event"] == "task" and json.loads(event["data"])["id"] == task_id)


def is_of_batch(event: Event, batch_id: int) -> bool:
    return bool(json.loads(event["data"])["id" if event["event"] == "batch" else "batch_id"] == batch_id)


class Listener:
    """Collects events in the background."""

    def __init__(self, url: str, query: dict[str, object], headers: dict[str, str], service: str = TASKS) -> None:
        self.events: list[tuple[float, Event]] = []
        timeout = httpx2.Timeout(WAIT_SECONDS, read=None)
        self._client = httpx2.Client(timeout=timeout, trust_env=False, verify=CERTIFICATES)
        request = self._client.build_request("GET", f"{url}{service}/events", params=query, headers=headers)  # type: ignore[arg-type]  # plain
        self._response = self._client.send(request, stream=True)
        assert self._response.status_code == 200
        self._lines = self._response.iter_lines()
        assert next(self._lines) == ": listening"
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self) -> None:
        try:
            for event in events_in(self._lines):
                self.events.append((time.monotonic(), event))
        except (httpx2.HTTPError, httpx2.StreamError):
            return

    def data_of(self, kind: str) -> list[dict[str, object]]:
        return [json.loads(event["data"]) for _, event in list(self.events) if event["event"] == kind]

    def changes(self, file_id: object) -> list[str]:
        return [str(file["change"]) for file in self.data_of("file") if file["id"] == file_id]

    def statuses(self, task_id: int) -> list[str]:
        return [str(task["status"]) for task in self.data_of("task") if task["id"] == task_id]

    def await_status(self, task_id: int, status: str) -> None:
        wait_until(lambda: status in self.statuses(task_id), f"task {task_id} is {status}")


@contextmanager
def listening(
    stack: Stack, headers: dict[str, str] | None = None, service: str = TASKS, **query: object
) -> Iterator[Listener]:
    listener = Listener(stack.url, query, headers or {}, service)
    try:
        yield listener
    finally:
        # Closing the socket ends the collecting thread.
        listener._response.extensions["network_stream"].close()


def task_on_a_photo(pixmill: Served) -> int:
    return pixmill.run([pixmill.files.upload(photo(), name="p.png").id], "flip").task_ids[0]


@pytest.mark.both_stacks
def test_every_change_of_a_task_is_an_event_in_order(stack: Stack, pixmill: Served) -> None:
    with listening(stack) as listener:
        task_id = task_on_a_photo(pixmill)
        listener.await_status(task_id, "finished")

    assert listener.statuses(task_id) == ["pending", "processing", "finished"]


@pytest.mark.both_stacks
def test_a_listener_continues_where_it_stopped(stack: Stack, pixmill: Served) -> None:
    with listening(stack) as first:
        task_id = task_on_a_photo(pixmill)
        first.await_status(task_id, "finished")
    pending = next(event for _, event in first.events if is_of_task(event, task_id))
    later = task_on_a_photo(pixmill)

    with listening(stack, headers={"Last-Event-ID": pending["id"]}) as second:
        second.await_status(later, "finished")

    assert second.statuses(task_id) == ["processing", "finished"]
    assert second.statuses(later) == ["pending", "processing", "finished"]


@pytest.mark.both_stacks
def test_a_batch_ends_with_an_event_after_those_of_its_tasks(stack: Stack, pixmill: Served) -> None:
    files = [pixmill.files.upload(photo(), name=f"{number}.png").id for number in range(3)]

    with listening(stack, headers={"Last-Event-ID": "0-0"}) as listener:
        created = pixmill.http.post(f"{TASKS}/", json={"file_ids": files, "algorithm": "flip"}).json()
        end = {"id": created["batch_id"], "status": "ended"}
        wait_until(lambda: end in listener.data_of("batch"), f"batch {created['batch_id']} has ended")

    of_batch = [event["event"] for _, event in listener.events if is_of_batch(event, created["batch_id"])]
    assert of_batch.count("task") == 9
    assert (of_batch.count("batch"), of_batch[-1]) == (1, "batch")


@pytest.mark.parametrize("event_id", [f"{2**62}-1", f"0-{2**62}"])
def test_an_event_id_from_before_a_restore_hides_no_events(stack: Stack, pixmill: Served, event_id: str) -> None:
    with listening(stack, headers={"Last-Event-ID": event_id}) as listener:
        task_id = task_on_a_photo(pixmill)
        listener.await_status(task_id, "finished")

    assert listener.statuses(task_id) == ["pending", "processing", "finished"]


@pytest.mark.both_stacks
def test_a_filter_by_id_hides_other_tasks(stack: Stack, pixmill: Served) -> None:
    first = task_on_a_photo(pixmill)
    second = first + 1

    with listening(stack, headers={"Last-Event-ID": "0-0"}, id=[second]) as listener:
        assert task_on_a_photo(pixmill) == second
        listener.await_status(second, "finished")

    assert listener.statuses(first) == []


def test_the_event_of_a_failed_task_has_its_error(stack: Stack, pixmill: Served) -> None:
    with listening(stack) as listener:
        task_id = pixmill.run([pixmill.files.upload(b"text", name="t.jpg").id], "flip").task_ids[0]
        listener.await_status(task_id, "error")

    task = listener.data_of("task")[-1]
    assert "not an image" in str(task["error"])


@pytest.mark.parametrize("event_id", ["x", "1", "1-x", "-1-2", f"0-{2**64}"])
def test_a_wrong_last_event_id_is_refused(pixmill: Served, event_id: str) -> None:
    assert_problem(pixmill.http.get(EVENTS, headers={"Last-Event-ID": event_id}), 400, "Last-Event-ID")


@pytest.mark.parametrize("task_id", ["x", "-1", "9" * 30])
def test_a_wrong_id_is_refused(pixmill: Served, task_id: str) -> None:
    assert_problem(pixmill.http.get(EVENTS, params={"id": task_id}), 422, "ids")


def test_another_method_is_refused(pixmill: Served) -> None:
    response = pixmill.http.post(EVENTS)

    assert_problem(response, 405, "POST")
    assert response.headers["Allow"] == "GET, HEAD"


def test_a_slash_at_the_end_changes_nothing(pixmill: Served) -> None:
    with pixmill.http.stream("GET", f"{EVENTS}/") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")


@pytest.mark.both_stacks
def test_many_listeners_do_not_starve_the_api(stack: Stack, pixmill: Served) -> None:
    limits = httpx2.Limits(max_connections=None)
    with httpx2.Client(base_url=stack.url, timeout=WAIT_SECONDS, limits=limits, trust_env=False) as http:
        streams = [http.send(http.build_request("GET", EVENTS), stream=True) for _ in range(40)]
        lines = [stream.iter_lines() for stream in streams]

        task_id = task_on_a_photo(pixmill)
        assert ended_task(pixmill, task_id).status == "finished"
        events = [next(event for event in events_in(stream) if is_of_task(event, task_id)) for stream in lines]

    assert {json.loads(event["data"])["status"] for event in events} == {"pending"}


def test_a_listener_whose_key_was_revoked_gets_no_more_events(pixmill: Served) -> None:
    made = pixmill.http.post("/api/keys", json={"owner": "listening", "role": "writer"}).json()
    revoked, valid = made["secret"], new_key(pixmill, "listening", "writer")
    picture = {"file": ("a.png", photo(20, 10))}
    file_id = pixmill.http.post(f"{FILES}/", files=picture, headers={"Authorization": f"Bearer {valid}"}).json()["id"]
    body = {"file_ids": [file_id], "algorithm": "flip", "cache": False}
    with pixmill.http.stream(
        "GET", f"{TASKS}/events", headers={"Authorization": f"Bearer {revoked}"}, timeout=300
    ) as events:
        lines = events.iter_lines()
        next(lines)
        received = events_in(lines)
        pixmill.http.delete(f"/api/keys/{made['id']}")

        def has_ended() -> bool:
            """Process another task; return whether the stream has ended instead of delivering all of its events."""
            tasks = pixmill.http.post(f"{TASKS}/", json=body, headers={"Authorization": f"Bearer {valid}"}).json()
            last = (
                event for event in received if is_of_task(event, tasks["task_ids"][0]) and "finished" in event["data"]
            )
            return next(last, None) is None

        wait_until(has_ended, "the stream has ended")


@pytest.mark.both_stacks
def test_every_change_of_a_file_is_an_event_in_order(stack: Stack, pixmill: Served) -> None:
    with listening(stack, service=FILES) as listener:
        file_id = pixmill.files.upload(b"text", name="a.txt").id
        pixmill.http.patch(f"{FILES}/{file_id}", json={"name": "b"}).raise_for_status()
        pixmill.http.delete(f"{FILES}/{file_id}").raise_for_status()
        wait_until(lambda: "deleted" in listener.changes(file_id), "the deletion is sent")

    assert listener.changes(file_id) == ["created", "changed", "deleted"]
