"""The privileges of the roles of the worker and of the webhook sender, which run no migrations."""

from collections.abc import Mapping

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
        "unended_tasks_part": "USAGE",
        "ended_tasks_part": "USAGE",
        "task_chores": _CHORES,
    },
    "webhooks": {
        "callbacks": "SELECT, UPDATE, DELETE",
        "callback_hosts": "SELECT, INSERT, UPDATE, DELETE",
        "task_chores": _CHORES,
    },
}
"""The privileges of each role, by table or sequence."""
