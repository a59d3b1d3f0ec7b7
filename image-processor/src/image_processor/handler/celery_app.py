"""The Celery application, the same for those who publish and those who work."""

from celery import Celery
from kombu import Queue

from image_processor.config import BrokerSettings

QUEUE = "pixmill.tasks"
WORK = "pixmill.work"


def create_celery(broker: BrokerSettings) -> Celery:
    """A Celery without result backend: the database is the truth, messages are hints."""
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
        # A broker that vanished without a word is noticed within so many seconds.
        broker_heartbeat=10,
        worker_enable_remote_control=False,
        worker_prefetch_multiplier=1,
        # Seconds that a dead process's answer may still be on its way. The database knows better.
        worker_lost_wait=0.2,
    )
    return celery


def _queue_arguments(broker: BrokerSettings) -> dict[str, str]:
    return {"x-queue-type": broker.queue_type} if broker.url.startswith("amqp") else {}
