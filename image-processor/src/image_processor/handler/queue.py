"""The task queue over Celery's broker."""

from collections.abc import Sequence

from amqp.exceptions import AMQPError
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError

from image_processor.handler.celery_app import PROCESS, QUEUE
from image_processor.services.queue import QueueUnavailableError

_UNAVAILABLE = (OperationalError, OSError, AMQPError)


class CeleryTaskQueue:
    """Implements :class:`image_processor.services.queue.TaskQueue`."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    def publish(self, task_ids: Sequence[int]) -> None:
        try:
            with self._celery.producer_pool.acquire(block=True) as producer:
                for task_id in task_ids:
                    self._celery.send_task(PROCESS, (task_id,), producer=producer, retry=False)
        except _UNAVAILABLE as error:
            raise QueueUnavailableError(str(error)) from error

    def length(self) -> int:
        try:
            with self._celery.connection_for_read() as connection, connection.channel() as channel:
                declared = Queue(QUEUE)(channel).queue_declare(passive=True)
                return int(declared.message_count)  # type: ignore[union-attr]  # the stubs say str
        except _UNAVAILABLE as error:
            raise QueueUnavailableError(str(error)) from error

    def ping(self) -> None:
        try:
            with self._celery.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=1)
        except (OperationalError, OSError) as error:
            raise QueueUnavailableError(str(error)) from error
