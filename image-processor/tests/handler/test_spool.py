"""The queue in a folder survives a full disk."""

import json
from pathlib import Path

import pytest
from image_processor.config import BrokerSettings
from image_processor.handler.celery_app import QUEUE, create_celery
from image_processor.handler.queue import CeleryTaskQueue
from image_processor.handler.spool import repair
from image_processor.services.tasks.queue import QueueUnavailableError


class Spool:
    """A queue in a folder."""

    def __init__(self, folder: Path) -> None:
        self.messages, self.control = folder / "queue", folder / "queue-control"
        self.messages.mkdir()
        self.control.mkdir()
        options: dict[str, str | int | float | bool] = {
            "data_folder_in": str(self.messages),
            "data_folder_out": str(self.messages),
            "control_folder": str(self.control),
            "max_retries": 0,
        }
        self.celery = create_celery(BrokerSettings(url="filesystem://", queue_type="quorum", transport_options=options))
        self.queue = CeleryTaskQueue(self.celery)

    def begin_to_consume(self) -> None:
        """Declare the queue, as a worker does when it starts."""
        with self.celery.connection_for_read() as connection, connection.channel() as channel:
            # A new process has no bindings yet.
            connection.transport.state.clear()  # type: ignore[attr-defined]  # only virtual transports have a state
            self.celery.amqp.queues[QUEUE](channel).declare()

    def names(self) -> list[str]:
        return [path.name.partition(".")[2] for path in self.messages.iterdir()]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def test_a_hint_is_a_whole_file(spool: Spool) -> None:
    spool.queue.publish(2)

    assert spool.names() == [f"{QUEUE}.msg"] * 2
    assert all(path.read_bytes().endswith(b"}") for path in spool.messages.iterdir())
    assert spool.queue.length() == 2


def test_bindings_that_a_full_disk_left_empty_are_written_again(spool: Spool) -> None:
    bindings = spool.control / f"{QUEUE}.exchange"
    bindings.touch()

    spool.begin_to_consume()

    assert json.loads(bindings.read_text("utf-8")) == [[QUEUE, "", QUEUE]]


def test_bindings_that_are_whole_stay(tmp_path: Path) -> None:
    bindings = tmp_path / "pixmill.exchange"
    bindings.write_text('[["a", "", "b"]]', "utf-8")

    repair(bindings)

    assert bindings.read_text("utf-8") == '[["a", "", "b"]]'


def test_a_folder_that_is_gone_makes_the_queue_unavailable(spool: Spool) -> None:
    spool.messages.rmdir()

    with pytest.raises(QueueUnavailableError):
        spool.queue.publish(1)
