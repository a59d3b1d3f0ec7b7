"""Webhooks: signed, tried again, and to no inner address."""

import base64
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from standardwebhooks import Webhook

from tests.client import Pixmill
from tests.images import photo
from tests.receiver import Receiver
from tests.stacks import CALLBACK_SECRET, Stack


@contextmanager
def receivers_that_never_answer(count: int) -> Iterator[list[str]]:
    """The URLs of servers that take a request and say nothing."""
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        yield [f"http://127.0.0.1:{server.getsockname()[1]}/" for server in servers]


@pytest.fixture
def receiver(stack: Stack) -> Iterator[Receiver]:
    if stack.name == "remote":
        pytest.skip("a remote Pixmill cannot reach this test's receiver")
    with Receiver() as server:
        yield server


def create(pixmill: Pixmill, url: str, content: bytes) -> int:
    source = pixmill.upload("p.png", content)
    response = pixmill.post_tasks({"file_ids": [source["id"]], "algorithm": "flip", "callback_url": url})
    assert response.status_code == 201, response.text
    task_id: int = response.json()["task_ids"][0]
    return task_id


def test_a_finished_task_is_told_and_signed(pixmill: Pixmill, receiver: Receiver) -> None:
    task_id = create(pixmill, receiver.url, photo())
    receiver.await_count(1)

    headers, body = receiver.received[0]
    task = pixmill.ended(task_id)
    secret = base64.b64encode(CALLBACK_SECRET.encode()).decode()
    assert Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
    told = {"id": task_id, "status": "finished", "result_id": task["result_id"]}
    assert json.loads(body) == {"type": "task.finished", "task": told}


def test_a_task_in_error_is_told_with_its_reason(pixmill: Pixmill, receiver: Receiver) -> None:
    create(pixmill, receiver.url, b"just text")
    receiver.await_count(1)

    told = json.loads(receiver.received[0][1])
    assert told["type"] == "task.error"
    assert "not an image" in told["task"]["error"]


def test_a_refused_webhook_is_sent_again_with_the_same_id(pixmill: Pixmill, receiver: Receiver) -> None:
    receiver.refusals = 1
    create(pixmill, receiver.url, photo())
    receiver.await_count(2)

    first, second = (headers["webhook-id"] for headers, _ in receiver.received)
    assert first == second


def test_receivers_that_do_not_answer_keep_no_other_waiting(pixmill: Pixmill, receiver: Receiver) -> None:
    with receivers_that_never_answer(5) as urls:
        for task_id in [create(pixmill, url, photo()) for url in urls]:
            pixmill.ended(task_id)
        began = time.monotonic()
        create(pixmill, receiver.url, photo())
        receiver.await_count(1)

    assert time.monotonic() - began < 9, "one alone takes its timeout of 10 seconds"
