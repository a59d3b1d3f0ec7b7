"""The interface to the message broker."""

from typing import Protocol

import structlog

log = structlog.get_logger()


class QueueUnavailableError(Exception):
    """The broker is unavailable; the relay will publish again."""


class TaskQueue(Protocol):
    """A queue of hints that tasks are pending; lost or duplicate hints do no harm.

    A hint does not name a task: the process that receives it claims tasks by priority until none is pending.
    """

    def publish(self, hints: int) -> None:
        """Publish hints.

        :raises QueueUnavailableError: not every hint was confirmed.
        """

    def length(self) -> int:
        """Return the number of hints in the queue.

        :raises QueueUnavailableError: the broker does not respond.
        """

    def ping(self) -> None:
        """Check the connection to the broker.

        :raises QueueUnavailableError: the broker does not respond.
        """


class Hints:
    """Publishes hints for new tasks.

    :param most: maximum number of hints published at once: the number of processes that can start at once.
    """

    def __init__(self, queue: TaskQueue, most: int) -> None:
        self._queue = queue
        self._most = most

    def publish_for(self, tasks: int) -> None:
        """Publish hints for this many tasks; if the broker is unavailable, the relay publishes them later."""
        try:
            self._queue.publish(min(tasks, self._most))
        except QueueUnavailableError as error:
            log.warning("broker unavailable; the relay will publish", error=str(error))
