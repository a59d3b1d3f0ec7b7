"""Pauses between the rounds of a command that watches folders."""

import time
from dataclasses import dataclass, field

from pixmill.client.exchange import Retries
from pixmill.client.problems import StorageFullError

LONGEST_SECONDS = 60


@dataclass
class Pauses:
    """Chooses the pauses: they grow while the server has no room, because each round sends the same files again.

    :param seconds: the pause after a round without such a refusal.
    """

    seconds: float
    _is_full: bool = field(default=False, init=False)
    _full_rounds: int = field(default=0, init=False)

    def note(self, error: Exception | None) -> None:
        """Note the outcome of an upload in this round."""
        self._is_full = self._is_full or isinstance(error, StorageFullError)

    def wait(self) -> None:
        """Wait for the next round."""
        self._full_rounds = self._full_rounds + 1 if self._is_full else 0
        self._is_full = False
        time.sleep(self._grown() if self._full_rounds else self.seconds)

    def _grown(self) -> float:
        longest = max(self.seconds, LONGEST_SECONDS)
        grown = Retries(first_seconds=self.seconds, most_seconds=longest).pause(self._full_rounds).seconds
        return min(max(grown, self.seconds), longest)
