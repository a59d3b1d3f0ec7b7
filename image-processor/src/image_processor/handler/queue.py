"""The task queue over Celery's broker."""

import threading
from collections.abc import Sequence

from amqp.exceptions import AMQPError
from celery import Celery
from kombu import Connection, Queue
from kombu.exceptions import OperationalError

from image_processor.handler.celery_app import PROCESS, QUEUE
from image_processor.services.queue import QueueUnavailableError

_UNAVAILABLE = (OperationalError, OSError, AMQPError)


class CeleryTaskQueue:
    """Implements :class:`image_processor.services.queue.TaskQueue`.

    Each thread keeps a connection of its own. Celery's pool would be closed, at the broker too, by every process
    that the worker forks.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._local = threading.local()

    def publish(self, task_ids: Sequence[int]) -> None:
        try:
            self._send(self._connection(), task_ids)
        except _UNAVAILABLE:
            # The connection may have ended long ago; a new one tells whether the broker is there.
            self._forget()
            try:
                self._send(self._connection(), task_ids)
            except _UNAVAILABLE as error:
                self._forget()
                raise QueueUnavailableError(str(error)) from error

    def length(self) -> int:
        try:
            with self._connection().channel() as channel:
                declared = Queue(QUEUE)(channel).queue_declare(passive=True)
                return int(declared.message_count)  # type: ignore[union-attr]  # the stubs say str
        except _UNAVAILABLE as error:
            self._forget()
            raise QueueUnavailableError(str(error)) from error

    def ping(self) -> None:
        try:
            with self._celery.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=1)
        except (OperationalError, OSError) as error:
            raise QueueUnavailableError(str(error)) from error

    def _send(self, connection: Connection, task_ids: Sequence[int]) -> None:
        with self._celery.amqp.Producer(connection) as producer:
            for task_id in task_ids:
                self._celery.send_task(PROCESS, (task_id,), producer=producer, retry=False)

    def _connection(self) -> Connection:
        if not hasattr(self._local, "connection"):
            self._local.connection = self._celery.connection_for_write()
        connection: Connection = self._local.connection
        return connection

    def _forget(self) -> None:
        if hasattr(self._local, "connection"):
            self._local.connection.collapse()
            del self._local.connection
