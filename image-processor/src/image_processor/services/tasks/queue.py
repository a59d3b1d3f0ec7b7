"""The interface to the message broker."""

from typing import Protocol


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
