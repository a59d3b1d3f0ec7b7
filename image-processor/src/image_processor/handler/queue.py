"""The task queue over Celery's broker."""

from collections.abc import Sequence

from celery import Celery
from kombu.exceptions import OperationalError

from image_processor.handler.celery_app import PROCESS, QUEUE
from image_processor.services.queue import QueueUnavailableError


class CeleryTaskQueue:
    """Implements :class:`image_processor.services.queue.TaskQueue`."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    def publish(self, task_ids: Sequence[int]) -> None:
        try:
            with self._celery.producer_pool.acquire(block=True) as producer:
                for task_id in task_ids:
                    self._celery.send_task(PROCESS, (task_id,), producer=producer, retry=False)
        except (OperationalError, OSError, *self._celery.connection_for_write().connection_errors) as error:
            raise QueueUnavailableError(str(error)) from error

    def length(self) -> int:
        try:
            with self._celery.connection_for_read() as connection, connection.channel() as channel:
                return int(channel.queue_declare(QUEUE, passive=True).message_count)
        except (OperationalError, OSError, *self._celery.connection_for_read().connection_errors) as error:
            raise QueueUnavailableError(str(error)) from error

    def ping(self) -> None:
        try:
            with self._celery.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=1)
        except (OperationalError, OSError) as error:
            raise QueueUnavailableError(str(error)) from error
