"""Owners of tasks: no key can access, delay or follow another owner's tasks, or exceed its limits."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tests.support.client import CERTIFICATES, FILES, TASKS, Served, assert_problem, ended_task, new_key, result_bytes
from tests.support.images import photo
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.both_stacks]

WRITER = ["files:read", "files:write", "tasks:read", "tasks:write"]
OF_A_TASK = [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/restart")]


class Owner:
    """A client with a key of its own owner."""

    def __init__(self, pixmill: Served, url: str, scopes: list[str], owner: str | None = None) -> None:
        self.name = owner or f"owner-{secrets.token_hex(6)}"
        response = pixmill.http.post("/api/keys", json={"owner": self.name, "scopes": scopes})
        assert response.status_code == 201, response.text
        self.pixmill = Served(url, key=response.json()["secret"])
        self.http = self.pixmill.http

    def tasks(self, **query: object) -> list[dict[str, object]]:
        listed: list[dict[str, object]] = self.http.get(f"{TASKS}/", params=query).json()  # type: ignore[arg-type]  # plain
        return listed

    def flip(self, file_id: object, **fields: object) -> httpx2.Response:
        return self.pixmill.http.post(f"{TASKS}/", json={"file_ids": [file_id], "algorithm": "flip", **fields})


@pytest.fixture
def ann(pixmill: Served, stack: Stack) -> Iterator[Owner]:
    owner = Owner(pixmill, stack.url, WRITER)
    with owner.pixmill:
        yield owner


@pytest.fixture
def bob(pixmill: Served, stack: Stack) -> Iterator[Owner]:
    owner = Owner(pixmill, stack.url, WRITER)
    with owner.pixmill:
        yield owner


def limit(pixmill: Served, owner: Owner, **limits: int) -> None:
    response = pixmill.http.put(f"/api/owners/{owner.name}/limits", json=limits)
    assert response.status_code == 200, response.text


def with_new_key(pixmill: Served, stack: Stack, owner: Owner) -> Owner:
    """Return the owner with a new key, whose limits no process has cached."""
    return Owner(pixmill, stack.url, WRITER, owner.name)


@contextmanager
def listening(stack: Stack, owner: Owner, **query: object) -> Iterator[Iterator[str]]:
    timeout = httpx2.Timeout(60)
    headers = {"Authorization": owner.http.headers["Authorization"]}
    with (
        httpx2.Client(timeout=timeout, trust_env=False, verify=CERTIFICATES) as client,
        client.stream("GET", f"{stack.url}{TASKS}/events", params=query, headers=headers) as response,  # type: ignore[arg-type]  # plain
    ):
        assert response.status_code == 200, response.read()
        lines = response.iter_lines()
        assert next(lines) == ": listening"
        yield lines


def next_task_in(lines: Iterator[str]) -> int:
    # The end of a batch is not a task event.
    found = next(line for line in lines if line.startswith("data: ") and '"ended"' not in line)
    task_id: int = json.loads(found.removeprefix("data: "))["id"]
    return task_id


@pytest.mark.parametrize(("method", "path"), OF_A_TASK)
def test_another_owners_task_is_not_found(ann: Owner, bob: Owner, method: str, path: str) -> None:
    file_id = ann.pixmill.files.upload(photo(), name="a.jpg").id
    [task_id] = ann.pixmill.run([file_id], "flip").task_ids
    ended = ended_task(ann.pixmill, task_id)

    response = bob.http.request(method, f"{TASKS}/{task_id}{path}")

    assert_problem(response, 404, f"There is no task {task_id}.")
    assert ann.http.get(f"{TASKS}/{task_id}").json() == ended.document


def test_a_list_has_only_ones_own_tasks_and_the_administrators_has_all(ann: Owner, bob: Owner, pixmill: Served) -> None:
    file_id = ann.pixmill.files.upload(photo(), name="a.jpg").id
    [anns] = ann.pixmill.run([file_id], "flip").task_ids
    [bobs] = bob.pixmill.run([bob.pixmill.files.upload(photo(), name="b.jpg").id], "flip").task_ids

    assert [task["id"] for task in ann.tasks()] == [anns]
    assert [task["id"] for task in bob.tasks()] == [bobs]
    assert bob.tasks(id=anns) == bob.tasks(source_id=file_id) == []
    everything = [task["id"] for task in pixmill.http.get(f"{TASKS}/", params={"id": [anns, bobs]}).json()]
    assert everything == [anns, bobs]


def test_a_restart_of_all_leaves_other_owners_tasks_alone(ann: Owner, bob: Owner) -> None:
    [task_id] = ann.pixmill.run([ann.pixmill.files.upload(b"not an image", name="a.jpg").id], "flip").task_ids
    assert ended_task(ann.pixmill, task_id).status == "error"

    restarted = bob.http.post(f"{TASKS}/restart", json={"status": "error"}).json()

    assert task_id not in restarted["task_ids"]
    assert ann.http.get(f"{TASKS}/{task_id}").json()["status"] == "error"


def test_a_priority_needs_its_scope(ann: Owner, pixmill: Served, stack: Stack) -> None:
    file_id = ann.pixmill.files.upload(photo(), name="a.jpg").id
    urgent = Owner(pixmill, stack.url, [*WRITER, "tasks:priority"], ann.name)

    refused = ann.flip(file_id, priority=1)

    assert_problem(refused, 403, "tasks:priority")
    assert refused.json()["type"] == "urn:pixmill:problem:scope-missing"
    assert ann.tasks() == []
    assert ann.flip(file_id, priority=0).status_code == 201
    with urgent.pixmill:
        assert urgent.flip(file_id, priority=1).status_code == 201


def test_a_webhook_needs_its_scope(ann: Owner, pixmill: Served, stack: Stack) -> None:
    file_id = ann.pixmill.files.upload(photo(), name="a.jpg").id
    informed = Owner(pixmill, stack.url, [*WRITER, "webhooks"], ann.name)
    url = "http://127.0.0.1:9/"

    assert_problem(ann.flip(file_id, callback_url=url), 403, "webhooks")
    with informed.pixmill:
        assert informed.flip(file_id, callback_url=url).status_code == 201


def test_an_owner_has_at_most_as_many_unended_tasks_as_its_limit(ann: Owner, pixmill: Served, stack: Stack) -> None:
    files = [ann.pixmill.files.upload(photo(), name="a.jpg").id for _ in range(3)]
    limit(pixmill, ann, pending_tasks=2)

    with with_new_key(pixmill, stack, ann).pixmill as limited:
        refused = limited.http.post(f"{TASKS}/", json={"file_ids": files, "algorithm": "flip"})
        created = limited.run(files[:2], "flip").task_ids
        for task_id in created:
            ended_task(limited, task_id)
        again = limited.run(files[:2], "flip").task_ids

    assert_problem(
        refused, 429, "may have at most 2 tasks that have not ended; there are 0, and 3 more would exceed the limit"
    )
    assert refused.json()["type"] == "urn:pixmill:problem:too-many-pending-tasks"
    assert [task["id"] for task in ann.tasks()] == [*created, *again]


def test_a_listener_gets_only_its_owners_tasks(ann: Owner, bob: Owner, stack: Stack) -> None:
    own_file, other_file = (owner.pixmill.files.upload(photo(), name="a.jpg").id for owner in (ann, bob))

    with listening(stack, ann) as lines:
        [others] = bob.pixmill.run([other_file], "flip").task_ids
        ended_task(bob.pixmill, others)
        [own] = ann.pixmill.run([own_file], "flip").task_ids
        seen = [next_task_in(lines) for _ in range(3)]
    with listening(stack, ann, last_event_id="0-0", id=[own, others]) as lines:
        earlier = [next_task_in(lines) for _ in range(3)]

    assert seen == earlier == [own] * 3


def test_an_owner_has_at_most_as_many_listeners_as_its_limit(ann: Owner, pixmill: Served, stack: Stack) -> None:
    limit(pixmill, ann, listeners=2)
    with with_new_key(pixmill, stack, ann).pixmill:
        limited = with_new_key(pixmill, stack, ann)

        with listening(stack, limited), listening(stack, limited):
            refused = limited.http.get(f"{TASKS}/events")

        assert_problem(refused, 429, "may have 2 open event streams")
        assert refused.headers["Retry-After"] == "5"

        def is_admitted() -> bool:
            with limited.http.stream("GET", f"{TASKS}/events") as response:
                return response.status_code == 200

        wait_until(is_admitted, "streams that have ended make room")


def test_an_owner_gets_no_result_of_anothers_from_the_cache(ann: Owner, bob: Owner) -> None:
    content = photo()
    results = {}
    for owner in (ann, bob, ann):
        [task_id] = owner.pixmill.run([owner.pixmill.files.upload(content, name="a.jpg").id], "flip").task_ids
        task = ended_task(owner.pixmill, task_id)
        assert task.status == "finished", task
        results[owner.name] = result_bytes(owner.pixmill, task)

    assert results[ann.name] == results[bob.name]


def test_the_only_task_of_an_owner_ends_before_the_many_of_another(ann: Owner, bob: Owner) -> None:
    many = [ann.pixmill.files.upload(photo(), name="a.jpg").id for _ in range(20)]
    slow = {"file_ids": many, "algorithm": "resize", "params": {"width": 1500, "height": 1500}, "cache": False}
    waiting = [task for _ in range(6) for task in ann.pixmill.http.post(f"{TASKS}/", json=slow).json()["task_ids"]]

    [only] = bob.pixmill.run([bob.pixmill.files.upload(photo(), name="b.jpg").id], "flip").task_ids
    ended = ended_task(bob.pixmill, only)

    assert ended.status == "finished"
    unended = [task for task in ann.tasks(status="pending") if task["id"] in waiting]
    assert unended, "the many have not all ended"
    ann.http.post(f"{TASKS}/cancel", json={"algorithm": "resize"})


def test_a_url_is_not_signed_for_steps_that_name_files_of_another_owner(pixmill: Served) -> None:
    mine, other = (new_key(pixmill, owner, "writer") for owner in ("signing", "elsewhere"))
    picture = {"file": ("a.png", photo(20, 10))}
    files = [
        pixmill.http.post(f"{FILES}/", files=picture, headers={"Authorization": f"Bearer {key}"}).json()["id"]
        for key in (mine, other)
    ]
    steps = [{"algorithm": "montage", "params": {"others": [files[1]], "width": 100, "height": 100}}]

    answer = pixmill.http.post(
        f"{TASKS}/render-urls", json={"file_id": files[0], "steps": steps}, headers={"Authorization": f"Bearer {mine}"}
    )

    assert answer.status_code == 404, answer.text
