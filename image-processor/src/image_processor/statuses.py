"""The HTTP status of each domain error."""

from collections.abc import Mapping

STATUSES: Mapping[str, int] = {
    "batch-not-found": 404,
    "file-not-found": 404,
    "file-storage-unavailable": 503,
    "idempotency-key-in-use": 409,
    "idempotency-key-reused": 422,
    "invalid-fields": 422,
    "no-render-key": 409,
    "no-webhook-secret": 404,
    "precondition-failed": 412,
    "preset-not-found": 404,
    "preset-read-only": 409,
    "task-not-cancellable": 409,
    "task-not-ended": 409,
    "task-not-found": 404,
    "task-not-restartable": 409,
    "too-many-pending-tasks": 429,
    "too-many-presets": 409,
    "unknown-algorithm": 422,
}
