"""The interface to the message broker."""

from typing import Protocol

import structlog

log = structlog.get_logger()


class QueueUnavailableError(Exception):
    """The broker is unavailable; the relay will publish again."""


class TaskQueue(Protocol):
    """A queue of hints that tasks are pending; a lost or duplicate hint does no harm.

    A hint names no task: the process that takes it claims the most urgent tasks until none is pending.
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
    """Publishes the hints for new tasks.

    :param most: hints published at once, at most: as many as processes can start at once.
    """

    def __init__(self, queue: TaskQueue, most: int) -> None:
        self._queue = queue
        self._most = most

    def publish_for(self, tasks: int) -> None:
        """Publish the hints for this many tasks; without a broker, the relay will."""
        try:
            self._queue.publish(min(tasks, self._most))
        except QueueUnavailableError as error:
            log.warning("broker unavailable; the relay will publish", error=str(error))
