"""Principals: the senders of requests, and their scopes and limits."""

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
    scopes: frozenset[Scope]
    key_id: str | None = None
    limits: Limits = field(default=UNLIMITED)
    is_service: bool = field(default=False, compare=False)
    """Whether the sender is one of Pixmill's own processes, which may act for an owner."""

    @property
    def sees_all(self) -> bool:
        """Whether the principal sees the rows of all owners."""
        return Scope.ADMIN in self.scopes

    def owns(self, column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """Return the SQL condition that the principal may see a row.

        :param column: the column with the row's owner.
        """
        return true() if self.sees_all else column == self.owner


LOCAL = Principal(LOCAL_OWNER, ALL_SCOPES)
"""The machine's own user, who needs no key."""

NOBODY = Principal("", frozenset())
"""The principal of a request that lacks the required credentials."""
