"""The queues that Pixmill declares in RabbitMQ."""

from image_processor.handler.celery_app import QUEUE

from tests.support.client import Served, processed_bytes
from tests.support.images import photo
from tests.support.stacks import FullStack


def test_workers_declare_the_queue_of_tasks_and_no_other(full: FullStack) -> None:
    with Served(full.url) as pixmill:
        processed_bytes(pixmill, photo(30, 20), "photo.png", "flip", {"direction": "horizontal"})

    assert full.queues() == [QUEUE]
