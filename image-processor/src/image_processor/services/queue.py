"""What the rules of tasks ask of the broker."""

from collections.abc import Sequence
from typing import Protocol


class QueueUnavailableError(Exception):
    """The broker took no message; the relay publishes again."""


class TaskQueue(Protocol):
    """A queue of hints that tasks are pending; losing or doubling one does no harm."""

    def publish(self, task_ids: Sequence[int]) -> None:
        """:raises QueueUnavailableError: not every message was confirmed."""

    def length(self) -> int:
        """How many messages wait.

        :raises QueueUnavailableError: the broker does not answer.
        """

    def ping(self) -> None:
        """:raises QueueUnavailableError: the broker does not answer."""
