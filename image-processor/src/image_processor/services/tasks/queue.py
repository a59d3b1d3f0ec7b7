"""What the rules of tasks ask of the broker."""

from typing import Protocol


class QueueUnavailableError(Exception):
    """The broker took no message; the relay publishes again."""


class TaskQueue(Protocol):
    """A queue of hints that tasks are pending; losing or doubling one does no harm.

    A hint names no task: whoever gets it takes the most urgent ones until none is left.
    """

    def publish(self, hints: int) -> None:
        """:raises QueueUnavailableError: not every hint was confirmed."""

    def length(self) -> int:
        """How many hints wait.

        :raises QueueUnavailableError: the broker does not answer.
        """

    def ping(self) -> None:
        """:raises QueueUnavailableError: the broker does not answer."""
