"""Webhooks are signed, and sent until accepted, only to public addresses; a slow receiver blocks no other."""

import base64
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from image_processor.background import webhook_sender as sender_module
from image_processor.background.webhook_sender import WebhookSender
from image_processor.models import Batch, Callback, CallbackHost, Task
from image_processor.services.outbound import Network, public_http_pool
from image_processor.services.tasks import webhooks as service_module
from image_processor.services.tasks.webhook_signature import secrets_of
from image_processor.services.tasks.webhooks import DELIVERIES_OF_AN_OWNER, WebhookService
from service_kit.access.principals import LOCAL_OWNER
from service_kit.database import Database
from sqlalchemy import insert, select, update
from standardwebhooks import Webhook, WebhookVerificationError
from structlog.testing import capture_logs

from tests.support.receiver import Receiver
from tests.support.tables import table_away
from tests.support.waiting import wait_until

POLL_SECONDS = 0.01
LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
SECRETS = [b"the new secret that receivers must learn", b"the old secret that receivers still know"]
TIMEOUT_SECONDS = 60

StartSender = Callable[..., WebhookSender]


@pytest.fixture(scope="module")
def running_receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def receiver(running_receiver: Receiver) -> Receiver:
    """Return a receiver without recorded requests; all tests share the server, because stopping it is slow."""
    running_receiver.received.clear()
    running_receiver.refusals = 0
    return running_receiver


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Return a server on each address of this machine that accepts connections and never responds."""
    with socket.create_server(("", 0)) as server:
        yield server


@pytest.fixture
def start_sender(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartSender]:
    monkeypatch.setattr(sender_module, "POLL_SECONDS", POLL_SECONDS)
    monkeypatch.setattr(service_module, "BASE_DELAY_SECONDS", 0.01)
    senders: list[WebhookSender] = []

    def start_sender(
        allowed: Sequence[Network] = (LOOPBACK,), max_seconds: float = 3600, max_silent_seconds: float = 3600
    ) -> WebhookSender:
        callbacks = WebhookService(database, TIMEOUT_SECONDS, max_seconds, max_silent_seconds)
        sender = WebhookSender(callbacks, public_http_pool(allowed, TIMEOUT_SECONDS), SECRETS)
        senders.append(sender)
        sender.start()
        return sender

    yield start_sender
    for sender in senders:
        sender.stop()
    wait_until(lambda: not any(thread.name in ("callback", "callbacks") for thread in threading.enumerate()))


def end_task(
    database: Database, url: str, status: str = "finished", error: str | None = None, owner: str = LOCAL_OWNER
) -> int:
    """Add a task and end it, so that the database writes its webhook; return its id."""
    with database.write() as session:
        values = {"owner": owner, "source_id": 1, "algorithm": "flip", "callback_url": url, "attempt": 3}
        statement = insert(Task).values(values).returning(Task.id)
        task_id = session.execute(statement).scalar_one()
        session.execute(update(Task).where(Task.id == task_id).values(status=status, result_id=7, error=error))
    return task_id


def end_tasks(database: Database, url: str, count: int) -> None:
    with database.write() as session:
        session.execute(insert(Task), [{"source_id": 1, "algorithm": "flip", "callback_url": url}] * count)
        session.execute(update(Task).where(Task.status == "pending").values(status="finished", result_id=7))


def in_flight(database: Database) -> int:
    return sum(callback.taken_until is not None for callback in waiting(database))


def url_of(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}/"


def waiting(database: Database) -> Sequence[Callback]:
    with database.read() as session:
        return session.scalars(select(Callback)).all()


def tries(database: Database) -> int:
    [callback] = waiting(database)
    return callback.tries


def lower_case(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_an_accepted_webhook_is_not_sent_again(
    start_sender: StartSender, database: Database, receiver: Receiver
) -> None:
    end_task(database, receiver.url)

    start_sender()
    wait_until(lambda: not waiting(database))

    assert len(receiver.received) == 1


def test_a_webhook_has_the_id_the_status_and_the_result_of_its_task(
    start_sender: StartSender, database: Database, receiver: Receiver
) -> None:
    task_id = end_task(database, receiver.url)

    start_sender()
    receiver.await_count(1)

    _headers, body = receiver.received[0]
    assert json.loads(body) == {
        "type": "task.finished",
        "task": {"id": task_id, "owner": "local", "attempt": 3, "status": "finished", "result_id": 7},
    }


def test_a_webhook_of_a_task_in_error_has_the_reason(
    start_sender: StartSender, database: Database, receiver: Receiver
) -> None:
    end_task(database, receiver.url, status="error", error="zu groß")

    start_sender()
    receiver.await_count(1)

    _headers, body = receiver.received[0]
    assert json.loads(body)["task"]["error"] == "zu groß"


@pytest.mark.parametrize("secret", SECRETS, ids=["new", "old"])
def test_the_signature_verifies_with_the_standard_webhooks_library(
    start_sender: StartSender, database: Database, receiver: Receiver, secret: bytes
) -> None:
    end_task(database, receiver.url, status="error", error="zu groß")

    start_sender()
    receiver.await_count(1)

    headers, body = receiver.received[0]
    assert Webhook(base64.b64encode(secret).decode()).verify(body, lower_case(headers))


def test_a_refused_webhook_is_retried_until_it_is_accepted(
    start_sender: StartSender, database: Database, receiver: Receiver
) -> None:
    receiver.refusals = 2
    end_task(database, receiver.url)

    start_sender()
    wait_until(lambda: not waiting(database))

    assert len(receiver.received) == 3


def test_a_webhook_has_the_same_id_when_it_is_retried(
    start_sender: StartSender, database: Database, receiver: Receiver
) -> None:
    receiver.refusals = 1
    end_task(database, receiver.url)

    start_sender()
    receiver.await_count(2)

    first, second = (lower_case(headers)["webhook-id"] for headers, _body in receiver.received)
    assert first == second


def test_two_webhooks_have_different_ids(start_sender: StartSender, database: Database, receiver: Receiver) -> None:
    end_task(database, receiver.url)
    end_task(database, receiver.url)

    start_sender()
    receiver.await_count(2)

    first, second = (lower_case(headers)["webhook-id"] for headers, _body in receiver.received)
    assert first != second


def test_a_webhook_is_retried_when_no_server_listens(start_sender: StartSender, database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = url_of(server)
    end_task(database, url)

    start_sender()

    wait_until(lambda: tries(database) >= 2)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", f"http://{'a' * 70}.example/"], ids=["scheme", "long host name"])
def test_a_webhook_to_an_invalid_url_is_retried(start_sender: StartSender, database: Database, url: str) -> None:
    end_task(database, url)

    start_sender()

    wait_until(lambda: tries(database) >= 2)


def test_a_webhook_is_given_up_after_its_time(
    start_sender: StartSender, database: Database, receiver: Receiver
) -> None:
    receiver.refusals = 1000
    end_task(database, receiver.url)

    start_sender(max_seconds=0)

    wait_until(lambda: not waiting(database))


def test_a_webhook_to_a_forbidden_address_is_given_up_at_once(
    start_sender: StartSender, database: Database, receiver: Receiver
) -> None:
    end_task(database, receiver.url)

    with capture_logs() as logs:
        start_sender(allowed=())
        wait_until(lambda: not waiting(database))
        wait_until(lambda: any(entry["event"] == "webhook given up" for entry in logs))

    assert not any(entry["event"] == "webhook failed" for entry in logs)


def test_a_forbidden_address_gets_no_request(start_sender: StartSender, database: Database, receiver: Receiver) -> None:
    end_task(database, receiver.url)

    start_sender(allowed=())
    wait_until(lambda: not waiting(database))

    assert receiver.received == []


def test_a_receiver_that_never_answers_blocks_no_other(
    start_sender: StartSender, database: Database, receiver: Receiver, silent: socket.socket
) -> None:
    end_tasks(database, url_of(silent), 600)
    start_sender()
    wait_until(lambda: in_flight(database) == 2)

    end_task(database, receiver.url)
    receiver.await_count(1)

    # The silent receiver still holds its two connections, so nothing had to end first.
    assert sum(callback.tries for callback in waiting(database) if callback.url == url_of(silent)) == 2


@pytest.mark.slow
def test_hundreds_of_receivers_that_never_answer_block_none_that_does(
    start_sender: StartSender, database: Database, receiver: Receiver, silent: socket.socket
) -> None:
    start_sender()
    end_task(database, receiver.url)
    wait_until(lambda: not waiting(database))
    for number in range(100):
        end_task(database, f"http://127.0.1.{number}:{silent.getsockname()[1]}/", owner=f"owner-{number % 2}")
    wait_until(lambda: in_flight(database) == sender_module.MAX_UNPROVEN_DELIVERIES)

    end_task(database, receiver.url)

    receiver.await_count(2)


def test_receivers_of_one_owner_that_answer_late_delay_no_other_owner(
    start_sender: StartSender, database: Database, receiver: Receiver, silent: socket.socket
) -> None:
    for number in range(100):
        host = f"127.0.1.{number}:{silent.getsockname()[1]}"
        end_task(database, f"http://{host}/", owner="many")
        with database.write() as session:
            session.add(CallbackHost(host=host, answered_at=1, changed_at=1))
    start_sender()
    wait_until(lambda: in_flight(database) == DELIVERIES_OF_AN_OWNER)

    end_task(database, receiver.url, owner="few")

    receiver.await_count(1)


def test_a_host_gets_two_webhooks_at_a_time(
    start_sender: StartSender, database: Database, silent: socket.socket
) -> None:
    end_tasks(database, url_of(silent), 5)

    start_sender()
    start_sender()  # the limit applies to all processes together
    wait_until(lambda: in_flight(database) == 2)
    time.sleep(20 * POLL_SECONDS)

    assert sorted(callback.tries for callback in waiting(database)) == [0, 0, 0, 1, 1]


def test_deliveries_are_limited(
    start_sender: StartSender, database: Database, silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "MAX_DELIVERIES", 3)
    for number in range(3):
        end_tasks(database, f"http://127.0.1.{number}:{silent.getsockname()[1]}/", 2)

    start_sender()
    wait_until(lambda: in_flight(database) == 3)
    time.sleep(20 * POLL_SECONDS)

    assert sorted(callback.tries for callback in waiting(database)) == [0, 0, 0, 1, 1, 1]


def test_the_webhooks_of_a_host_that_never_answers_are_given_up_together(
    start_sender: StartSender, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "ROWS_PER_DELETE", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = url_of(server)
    end_tasks(database, url, 5)

    with capture_logs() as logs:
        start_sender(max_silent_seconds=0)
        wait_until(lambda: not waiting(database))

    assert {entry["reason"] for entry in logs if entry["event"] == "webhooks given up"} == {"never answered"}


def test_a_stop_makes_interrupted_webhooks_due_again(
    start_sender: StartSender, database: Database, silent: socket.socket
) -> None:
    end_task(database, url_of(silent))
    sender = start_sender()
    wait_until(lambda: in_flight(database) == 1)

    sender.stop(seconds=0)

    assert in_flight(database) == 0


def test_no_log_line_has_the_path_or_the_query_of_a_url(
    start_sender: StartSender, database: Database, receiver: Receiver, silent: socket.socket
) -> None:
    receiver.refusals = 1
    port = receiver.server_address[1]
    secret_urls = [
        f"http://127.0.0.1:{port}/secret-path?token=secret",
        "http://127.0.0.1:25/secret-path?token=secret",
        "ftp://127.0.0.1/secret-path?token=secret",
    ]
    for url in secret_urls:
        end_task(database, url)

    with capture_logs() as logs:
        start_sender()
        wait_until(lambda: any(entry["event"] == "webhook delivered" for entry in logs))
        wait_until(lambda: any(entry["event"] == "webhook given up" for entry in logs))
        with table_away(database, "callbacks"):
            wait_until(lambda: any(entry["event"] == "webhooks wait for the database" for entry in logs))

    assert {entry["event"] for entry in logs} >= {"webhook failed", "webhook delivered", "webhook given up"}
    assert "secret" not in repr(logs)


def test_webhooks_are_sent_after_a_database_outage(
    start_sender: StartSender, database: Database, receiver: Receiver
) -> None:
    end_task(database, receiver.url)
    with capture_logs() as logs, table_away(database, "callbacks"):
        start_sender()
        wait_until(lambda: any(entry["event"] == "webhooks wait for the database" for entry in logs))

    receiver.await_count(1)


INSTALLATION = [b"a secret of the installation, of 32 bytes", b"an earlier one of them, of 32 bytes or more"]


def test_each_key_has_its_own_secrets_regardless_of_its_owner() -> None:
    local = secrets_of("local", None, INSTALLATION)
    first, second = (secrets_of("alice", key_id, INSTALLATION) for key_id in ("0123456789ab", "ba98"))

    assert local == INSTALLATION
    assert len({*local, *first, *second}) == 6
    # Computed with: printf 'webhooks of key 0123456789ab' | openssl dgst -sha256 -hmac 'a secret …'
    assert first[0].hex() == "eb815105571a6fa9524eb8b37ebabfbb92c8344d08efcc49ce0533b13dcdd6c9"


def test_webhooks_from_before_keys_had_secrets_keep_those_of_their_owner() -> None:
    alice, bob = (secrets_of(owner, None, INSTALLATION) for owner in ("alice", "bob"))

    assert len({*INSTALLATION, *alice, *bob}) == 6
    # Computed with: printf 'webhooks of alice' | openssl dgst -sha256 -hmac 'a secret of the installation, of 32 bytes'
    assert alice[0].hex() == "f09bfc424cec30505cf7b99faeded937cfd3ef68eb340b65837354cdd43efbd6"


def test_a_webhook_is_signed_with_the_secrets_of_the_key_that_created_its_batch(
    start_sender: StartSender, database: Database, receiver: Receiver
) -> None:
    with database.write() as session:
        made = {"owner": "alice", "key_id": "0123456789ab", "algorithm": "flip", "callback_url": receiver.url}
        batch_id = session.execute(insert(Batch).values(**made, tasks=1).returning(Batch.id)).scalar_one()
        session.execute(insert(Task).values(owner="alice", batch_id=batch_id, source_id=1, algorithm="flip"))
        session.execute(update(Task).values(status="finished"))

    start_sender()
    receiver.await_count(1)

    headers, body = receiver.received[0]
    for secret in secrets_of("alice", "0123456789ab", SECRETS):
        assert Webhook(secret).verify(body, lower_case(headers))
    for secret in (*SECRETS, *secrets_of("alice", None, SECRETS), *secrets_of("alice", "ba9876543210", SECRETS)):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, lower_case(headers))
