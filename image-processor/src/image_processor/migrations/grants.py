"""Grants the roles of the worker and of the webhook sender access to the tables that they use.

The owner of the tables grants it after each migration, so that a new table is open to nobody else until it is named
here. ``config/postgresql/roles.sh`` creates the roles.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, text

_COUNTERS = "SELECT, INSERT, UPDATE, DELETE"
_STATE = ", ".join(
    (
        *("status", "result_id", "error", "error_problem", "due_at", "started_at", "ended_at", "updated_at"),
        *("attempt", "crashes", "losses", "retry_seconds", "lease_until", "claimed_by", "process"),
    )
)
"""The columns of a task that change while it is worked on."""
# A process adds the rows of its chores, and sets when they are due.
_CHORES = "SELECT, INSERT, UPDATE (due_at)"
GRANTS: Mapping[str, Mapping[str, str]] = {
    "worker": {
        # What was asked for when a task was created, such as its owner, its batch and its webhook, stays as it is.
        "tasks": f"SELECT, UPDATE ({_STATE}), DELETE",
        # A batch, a key or an event is locked before it is deleted, and PostgreSQL locks only rows of which a column
        # may be updated.
        "batches": "SELECT, UPDATE (created_at), DELETE",
        "batch_keys": "SELECT, UPDATE (created_at), DELETE",
        "cached_results": "SELECT, INSERT, UPDATE, DELETE",
        "discarded_results": "SELECT, INSERT, UPDATE, DELETE",
        # The trigger of a task inserts its events and its webhook with the rights of the owner.
        "task_events": "SELECT, UPDATE (created_at), DELETE",
        "unended_tasks": _COUNTERS,
        "ended_tasks": _COUNTERS,
        "task_chores": _CHORES,
    },
    "webhooks": {
        "callbacks": "SELECT, UPDATE, DELETE",
        "callback_hosts": "SELECT, INSERT, UPDATE, DELETE",
        "task_chores": _CHORES,
    },
}
"""The privileges of each role, by table."""
SEQUENCES: Mapping[str, tuple[str, ...]] = {
    "worker": ("unended_tasks_part", "ended_tasks_part"),
    "webhooks": (),
}
"""The sequences from which each role may take numbers."""

_ROLES = text("SELECT rolname FROM pg_roles WHERE rolname IN ('worker', 'webhooks') ORDER BY rolname")
_OWN = text(
    "SELECT CASE own.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, own.relname"
    " FROM pg_class own JOIN pg_class tasks ON tasks.oid = to_regclass('tasks')"
    " AND own.relnamespace = tasks.relnamespace AND own.relowner = tasks.relowner"
    " WHERE own.relkind IN ('r', 'S') ORDER BY own.relname"
)
"""The tables and sequences of the owner of the tasks."""


def grant(connection: Connection) -> None:
    """Give each role exactly its privileges; do nothing in a database without the roles."""
    if connection.dialect.name != "postgresql":
        return
    own = [(kind, name) for kind, name in connection.execute(_OWN)]
    for role in connection.scalars(_ROLES).all():
        privileges = {**GRANTS[role], **dict.fromkeys(SEQUENCES[role], "USAGE")}
        for kind, name in own:
            connection.execute(text(f'REVOKE ALL ON {kind} "{name}" FROM {role}'))
            if name in privileges:
                connection.execute(text(f'GRANT {privileges[name]} ON {kind} "{name}" TO {role}'))
