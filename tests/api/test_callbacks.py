"""Webhooks: signature, content and retries."""

import base64
import json
from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook

from pixmill import Pixmill, WebhookError, verify_webhook
from tests.support.client import TASKS, Served, ended_task, new_key
from tests.support.environment import CALLBACK_SECRET
from tests.support.images import photo
from tests.support.receiver import Receiver
from tests.support.stacks import Stack


@pytest.fixture
def receiver(stack: Stack) -> Iterator[Receiver]:
    if stack.name == "remote":
        pytest.skip("a remote Pixmill cannot reach this test's receiver")
    with Receiver() as server:
        yield server


def create(pixmill: Served, url: str, content: bytes) -> int:
    source = pixmill.files.upload(content, name="p.png")
    response = pixmill.http.post(f"{TASKS}/", json={"file_ids": [source.id], "algorithm": "flip", "callback_url": url})
    assert response.status_code == 201, response.text
    task_id: int = response.json()["task_ids"][0]
    return task_id


def test_a_finished_task_sends_a_signed_webhook(pixmill: Served, receiver: Receiver) -> None:
    task_id = create(pixmill, receiver.url, photo())
    receiver.await_count(1)

    headers, body = receiver.received[0]
    task = ended_task(pixmill, task_id)
    secret = base64.b64encode(CALLBACK_SECRET.encode()).decode()
    assert Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
    task_out = {
        "id": task_id,
        "owner": "local",
        "attempt": 1,
        "status": "finished",
        "result_id": task.result_id,
    }
    assert json.loads(body) == {"type": "task.finished", "task": task_out}


def test_the_webhook_of_a_failed_task_has_its_error(pixmill: Served, receiver: Receiver) -> None:
    create(pixmill, receiver.url, b"just text")
    receiver.await_count(1)

    event = json.loads(receiver.received[0][1])
    assert event["type"] == "task.error"
    assert "not an image" in event["task"]["error"]


def test_a_key_verifies_the_webhooks_of_its_tasks_and_another_key_of_its_owner_does_not(
    stack: Stack, pixmill: Served, receiver: Receiver
) -> None:
    keys = [new_key(pixmill, "hooked", "writer") for _ in range(2)]
    with Pixmill(stack.url, key=keys[0]) as mine, Pixmill(stack.url, key=keys[1]) as other:
        source = mine.files.upload(photo(), name="p.png")
        run = mine.run([source], "flip", callback_url=receiver.url)
        secret, others_secret = mine.webhook_secret(), other.webhook_secret()
    receiver.await_count(1)

    event = verify_webhook(*receiver.received[0], secret)

    assert (event.type, event.task["id"]) == ("task.finished", run.task_ids[0])
    with pytest.raises(WebhookError, match="not signed with this secret"):
        verify_webhook(*receiver.received[0], others_secret)


def test_a_refused_webhook_is_sent_again_with_the_same_id(pixmill: Served, receiver: Receiver) -> None:
    receiver.refusals = 1
    create(pixmill, receiver.url, photo())
    receiver.await_count(2)

    first, second = (headers["webhook-id"] for headers, _ in receiver.received)
    assert first == second
