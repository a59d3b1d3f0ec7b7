"""Creates the Celery application for the API, which publishes hints, and for workers, which receive them."""

import warnings

from celery import Celery
from celery.exceptions import SecurityWarning
from kombu import Queue

from image_processor.config import BrokerSettings
from image_processor.handler import spool

QUEUE = "pixmill.tasks"
WORK = "pixmill.work"


def create_celery(broker: BrokerSettings) -> Celery:
    """Return a Celery application without a result backend: the database holds all state, messages are hints."""
    spool.use()
    celery = Celery("pixmill", broker=broker.url, set_as_current=False)
    celery.conf.update(
        task_default_queue=QUEUE,
        task_queues=[Queue(QUEUE, durable=True, queue_arguments=_queue_arguments(broker))],
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        broker_transport_options=broker.transport_options,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=1,
        # Seconds after which a silent broker is considered lost.
        broker_heartbeat=10,
        worker_enable_remote_control=False,
        worker_prefetch_multiplier=1,
        # Seconds to wait for a dead process's result; short, because outcomes are in the database.
        worker_lost_wait=0.2,
    )
    return celery


def allow_root() -> None:
    """Silence Celery's warning about running as root, which would appear below the server's address.

    The warning concerns messages that run code. A worker accepts only JSON and decodes images in a sandbox.
    """
    warnings.filterwarnings("ignore", category=SecurityWarning)


def _queue_arguments(broker: BrokerSettings) -> dict[str, str]:
    return {"x-queue-type": broker.queue_type} if broker.url.startswith("amqp") else {}
