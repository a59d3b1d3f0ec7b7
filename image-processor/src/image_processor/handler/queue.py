"""The task queue over Celery's broker."""

import threading
from contextlib import suppress

from celery import Celery
from kombu import Connection, Queue
from kombu.exceptions import OperationalError
from service_kit.remembered import Remembered

from image_processor.handler.celery_app import QUEUE, WORK
from image_processor.services.tasks.queue import QueueUnavailableError

PINGED_SECONDS = 1
"""How long the outcome of a ping is remembered."""


class CeleryTaskQueue:
    """Implements :class:`image_processor.services.tasks.queue.TaskQueue`.

    Each thread keeps a connection of its own, because a forked worker process closes Celery's connection pool, even at
    the broker. A connection that breaks in the middle of a frame can raise any exception, so every exception counts as
    an unavailable broker.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._local = threading.local()
        self._pinging = threading.Lock()
        self._pinged = Remembered[Exception | None](PINGED_SECONDS)

    def publish(self, hints: int) -> None:
        is_new = not self._connected()
        try:
            self._send(self._connection(), hints)
        except Exception as error:
            self._disconnect()
            if is_new or isinstance(error, TimeoutError):
                raise QueueUnavailableError(str(error)) from error
            # The kept connection may have been closed long ago: try a new one.
            self.publish(hints)

    def length(self) -> int:
        try:
            with self._connection().channel() as channel:
                declared = Queue(QUEUE)(channel).queue_declare(passive=True)
                return int(declared.message_count)  # type: ignore[union-attr]  # the stubs say str
        except Exception as error:
            self._disconnect()
            raise QueueUnavailableError(str(error)) from error

    def ping(self) -> None:
        # Requests without a key ask for this, and each connection costs the broker a process.
        with self._pinging:
            error = self._pinged.get(None, self._connection_error)
        if error is not None:
            raise QueueUnavailableError(str(error)) from error

    def _connection_error(self) -> Exception | None:
        try:
            with self._celery.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=1)
        except (OperationalError, OSError) as error:
            return error
        return None

    def _send(self, connection: Connection, hints: int) -> None:
        with self._celery.amqp.Producer(connection) as producer:
            for _ in range(hints):
                self._celery.send_task(WORK, producer=producer, retry=False)

    def _connected(self) -> bool:
        return hasattr(self._local, "connection")

    def _connection(self) -> Connection:
        if not self._connected():
            self._local.connection = self._celery.connection_for_write()
        connection: Connection = self._local.connection
        return connection

    def _disconnect(self) -> None:
        if self._connected():
            connection = self._local.connection
            del self._local.connection
            with suppress(Exception):
                connection.collapse()
