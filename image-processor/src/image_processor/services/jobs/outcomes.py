"""The data types for claims of tasks and outcomes of attempts."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from image_processor.services.causes import Cause
from image_processor.services.files.client import Provenance
from image_processor.services.files.sources import TaskSource

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Holder:
    """The holder of a task: a worker, and the id of its process."""

    worker: str
    process: int


@dataclass(frozen=True)
class Claim:
    """One attempt at a task, with the task properties that its holder needs."""

    task_id: int
    attempt: int
    owner: str
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
    """Whether an earlier attempt crashed or several workers were lost. The process of a suspect holds no other task,
    because a crash would count for that task, too."""
    expires_in: int | None = None
    """Seconds after which the result is deleted; ``None`` keeps it."""
    batch_id: int | None = None
    """``None`` for a task created before batches existed."""
    claimed_at: float = field(default_factory=time.monotonic, compare=False)
    """Time of the claim, by this machine's monotonic clock."""

    @property
    def source(self) -> TaskSource:
        """The file that the task reads."""
        return TaskSource(self.owner, self.source_id, self.source_sha256)

    @property
    def provenance(self) -> Provenance:
        """The provenance that is stored with the task's result."""
        return Provenance(self.source_id, self.task_id, self.expires_in, self.batch_id)


@dataclass(frozen=True)
class Finished:
    """The attempt produced a result."""

    result_id: int


@dataclass(frozen=True)
class Failed:
    """The attempt failed, and a retry would fail, too."""

    reason: str
    cause: Cause = Cause.TASK_FAILED


@dataclass(frozen=True)
class Postponed:
    """The attempt failed for a transient reason and is retried later."""

    reason: str


@dataclass(frozen=True)
class Crashed:
    """The attempt raised an unexpected error; after too many of them the task ends in error."""

    reason: str


Outcome = Finished | Failed | Postponed | Crashed


class Ended(NamedTuple):
    """An attempt and its outcome."""

    claim: Claim
    outcome: Outcome


def for_each_owner(
    work: Sequence[tuple[Claim, _Item]], function: Callable[[str, Sequence[tuple[Claim, _Item]]], Sequence[_Answer]]
) -> list[_Answer]:
    """Call ``function`` for each owner and that owner's part of ``work``; return the answers in its order."""
    owners = dict.fromkeys(claim.owner for claim, _ in work)
    answers = {
        owner: iter(function(owner, [(claim, item) for claim, item in work if claim.owner == owner]))
        for owner in owners
    }
    return [next(answers[claim.owner]) for claim, _ in work]
