"""What a worker holds, and how its attempts end."""

import time
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True)
class Holder:
    """Who holds a task: a worker, and the id of its process."""

    worker: str
    process: int


@dataclass(frozen=True)
class Claim:
    """One attempt at a task, as its holder has it."""

    task_id: int
    attempt: int
    source_id: int
    source_name: str
    source_extension: str
    source_sha256: str | None
    priority: int
    algorithm: str
    params: dict[str, object] | None
    cache: bool
    result_key: str
    suspect: bool
    """Its process died before, or its workers were lost repeatedly. Until it has ended, its process holds no other
    task, which would be counted as having crashed too."""
    claimed_at: float = field(default_factory=time.monotonic, compare=False)
    """When, by this machine's monotonic clock."""


@dataclass(frozen=True)
class Finished:
    """The attempt has made a result."""

    result_id: int


@dataclass(frozen=True)
class Failed:
    """The attempt cannot succeed, now or ever."""

    reason: str


@dataclass(frozen=True)
class Postponed:
    """The attempt met a transient failure."""

    reason: str


@dataclass(frozen=True)
class Crashed:
    """The attempt met an error that nobody foresaw; after too many the task ends in error."""

    reason: str


Outcome = Finished | Failed | Postponed | Crashed


class Ended(NamedTuple):
    """An attempt, and how it ended."""

    claim: Claim
    outcome: Outcome
