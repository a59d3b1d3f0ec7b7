"""Who asks, and what they may do."""

from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import InstrumentedAttribute

LOCAL_OWNER = "local"
"""Owns what is made without a key, and all rows from before there were owners."""


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
    """The limits of an owner; ``None`` is no limit.

    :param bytes: of all files and unfinished uploads.
    :param pending_tasks: tasks that have not ended.
    :param listeners: open event streams.
    """

    bytes: int | None = None
    files: int | None = None
    pending_tasks: int | None = None
    requests_per_second: int | None = None
    listeners: int | None = None


UNLIMITED = Limits()


@dataclass(frozen=True)
class Principal:
    """Who sends a request.

    :param owner: owns what the request makes.
    :param key_id: the key, if the request has one.
    """

    owner: str
    scopes: frozenset[Scope]
    key_id: str | None = None
    limits: Limits = field(default=UNLIMITED)
    is_service: bool = field(default=False, compare=False)
    """Whether one of our own processes asks, which may say what it did for an owner."""

    @property
    def sees_all(self) -> bool:
        """Whether the rows of all owners are visible."""
        return Scope.ADMIN in self.scopes

    def owns(self, column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """Return the condition that a row is visible.

        :param column: the row's owner.
        """
        return true() if self.sees_all else column == self.owner


LOCAL = Principal(LOCAL_OWNER, ALL_SCOPES)
"""The machine's own user, without a key."""

NOBODY = Principal("", frozenset())
"""A request without credentials where keys are required."""
