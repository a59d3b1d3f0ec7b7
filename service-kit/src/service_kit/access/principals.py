"""Principals: the senders of requests, and their scopes and limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import InstrumentedAttribute

LOCAL_OWNER = "local"
"""The owner of everything created without a key, and of all rows from before owners existed."""


class Scope(StrEnum):
    """What a key allows."""

    FILES_READ = "files:read"
    FILES_WRITE = "files:write"
    FILES_DELETE = "files:delete"
    LINKS_CREATE = "links:create"
    TASKS_READ = "tasks:read"
    TASKS_WRITE = "tasks:write"
    TASKS_PRIORITY = "tasks:priority"
    WEBHOOKS = "webhooks"
    PRESETS_WRITE = "presets:write"
    METRICS_READ = "metrics:read"
    ADMIN = "admin"


class InnerScope(StrEnum):
    """What one of Pixmill's own processes may do: a few routes each. No key and no role has these scopes."""

    FILES_LOOKUP = "inner:files:lookup"
    FILES_FETCH = "inner:files:fetch"
    RESULTS_STORE = "inner:results:store"
    RESULTS_DISCARD = "inner:results:discard"
    PRESETS_READ = "inner:presets:read"


class Process(StrEnum):
    """One of Pixmill's own processes that send requests to the services; each has a secret of its own."""

    WORKER = "worker"
    RENDER = "render"
    IMAGE_PROCESSOR = "image-processor"


SCOPES_OF_PROCESSES: Mapping[Process, frozenset[InnerScope]] = {
    Process.WORKER: frozenset(
        {
            InnerScope.FILES_LOOKUP,
            InnerScope.FILES_FETCH,
            InnerScope.RESULTS_STORE,
            InnerScope.RESULTS_DISCARD,
        }
    ),
    Process.RENDER: frozenset({InnerScope.FILES_LOOKUP, InnerScope.FILES_FETCH, InnerScope.PRESETS_READ}),
    Process.IMAGE_PROCESSOR: frozenset({InnerScope.FILES_LOOKUP}),
}
"""The scopes that each process needs, and no others: an attacker who takes over a decoder has them too."""
FOR_NO_OWNER = frozenset({InnerScope.FILES_LOOKUP, InnerScope.FILES_FETCH})
"""What a process may do without naming an owner: the owner of a file does not matter to a signed URL."""

ALL_SCOPES = frozenset(Scope)

READER = frozenset({Scope.FILES_READ, Scope.TASKS_READ})
WRITER = READER | {
    Scope.FILES_WRITE,
    Scope.FILES_DELETE,
    Scope.LINKS_CREATE,
    Scope.TASKS_WRITE,
    Scope.PRESETS_WRITE,
    Scope.WEBHOOKS,
}
ROLES = {"reader": READER, "writer": WRITER, "admin": ALL_SCOPES}
"""The scopes of each role."""


@dataclass(frozen=True)
class Limits:
    """The limits of an owner; ``None`` means no limit.

    :param bytes: total size of files and unfinished uploads.
    :param pending_tasks: tasks that have not ended.
    :param requests_per_second: at each service.
    :param listeners: open event streams of each kind: of files and of tasks.
    """

    bytes: int | None = None
    files: int | None = None
    pending_tasks: int | None = None
    requests_per_second: int | None = None
    listeners: int | None = None


UNLIMITED = Limits()


@dataclass(frozen=True)
class Principal:
    """The sender of a request.

    :param owner: becomes the owner of what the request creates.
    :param key_id: the key, if the request has one.
    """

    owner: str
    scopes: frozenset[Scope | InnerScope]
    key_id: str | None = None
    limits: Limits = field(default=UNLIMITED)
    is_service: bool = field(default=False, compare=False)
    """Whether the sender is one of Pixmill's own processes, which may act for an owner."""
    is_for_all: bool = False
    """Whether the sender sees the rows of all owners without being an admin."""

    @property
    def sees_all(self) -> bool:
        """Whether the principal sees the rows of all owners."""
        return self.is_for_all or Scope.ADMIN in self.scopes

    def owns(self, column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """Return the SQL condition that the principal may see a row.

        :param column: the column with the row's owner.
        """
        return true() if self.sees_all else column == self.owner


LOCAL = Principal(LOCAL_OWNER, ALL_SCOPES)
"""The machine's own user, who needs no key."""

NOBODY = Principal("", frozenset())
"""The principal of a request that lacks the required credentials."""

MONITORING = Principal("", frozenset({Scope.METRICS_READ}))
"""The principal of a request without credentials at nginx's inner port, in the modes ``local`` and ``open``."""
