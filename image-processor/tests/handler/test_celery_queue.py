"""The message broker as the API sees it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from image_processor.config import BrokerSettings
from image_processor.handler import queue as module
from image_processor.handler.celery_app import create_celery
from image_processor.handler.queue import CeleryTaskQueue
from image_processor.services.tasks.queue import QueueUnavailableError
from kombu.transport import memory

REQUESTS = 8


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Return a list that grows with each connection to the broker."""
    connected = list[None]()
    establish: Callable[[memory.Transport], object] = memory.Transport.establish_connection

    def counted(transport: memory.Transport) -> object:
        connected.append(None)
        return establish(transport)

    monkeypatch.setattr(memory.Transport, "establish_connection", counted)
    return connected


def queue() -> CeleryTaskQueue:
    return CeleryTaskQueue(create_celery(BrokerSettings(url="memory://", queue_type="classic", transport_options={})))


def refused(_transport: memory.Transport) -> object:
    raise ConnectionRefusedError


def test_concurrent_pings_open_one_connection(connected: list[None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PINGED_SECONDS", 3600)
    pinged = queue()

    with ThreadPoolExecutor(REQUESTS) as threads:
        for done in [threads.submit(pinged.ping) for _ in range(REQUESTS)]:
            done.result()

    assert len(connected) == 1


def test_a_ping_some_time_after_another_opens_a_connection(
    connected: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PINGED_SECONDS", 0)
    pinged = queue()

    for _ in range(REQUESTS):
        pinged.ping()

    assert len(connected) == REQUESTS


def test_a_failure_is_remembered_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PINGED_SECONDS", 3600)
    pinged = queue()
    with monkeypatch.context() as away:
        away.setattr(memory.Transport, "establish_connection", refused)
        # So that the client does not try again after a pause.
        away.setattr(memory.Transport, "connection_errors", ())
        with pytest.raises(QueueUnavailableError):
            pinged.ping()

    with pytest.raises(QueueUnavailableError):
        pinged.ping()
