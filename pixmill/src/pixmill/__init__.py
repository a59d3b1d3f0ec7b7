"""Pixmill's Python client; the command line and, with the extra ``serve``, the server come with it."""

from pixmill.client.answers import (
    Algorithm,
    AuditEntry,
    File,
    Key,
    Link,
    Owner,
    Preset,
    Readiness,
    Session,
    Task,
    TaskEvent,
    WebhookEvent,
)
from pixmill.client.asynchronous import AsyncPixmill, AsyncRun
from pixmill.client.exchange import Reply, Retries
from pixmill.client.files import FileFilter
from pixmill.client.problems import (
    ChangedFileError,
    ConflictError,
    DamagedError,
    FieldError,
    InvalidError,
    NotFoundError,
    PixmillError,
    ProblemError,
    RunFailedError,
    SignInError,
    StorageFullError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    WebhookError,
)
from pixmill.client.sync import Pixmill, Run
from pixmill.client.uploads import Progress, Upload
from pixmill.client.webhooks import verify_webhook

__all__ = [
    "Algorithm",
    "AsyncPixmill",
    "AsyncRun",
    "AuditEntry",
    "ChangedFileError",
    "ConflictError",
    "DamagedError",
    "FieldError",
    "File",
    "FileFilter",
    "InvalidError",
    "Key",
    "Link",
    "NotFoundError",
    "Owner",
    "Pixmill",
    "PixmillError",
    "Preset",
    "ProblemError",
    "Progress",
    "Readiness",
    "Reply",
    "Retries",
    "Run",
    "RunFailedError",
    "Session",
    "SignInError",
    "StorageFullError",
    "Task",
    "TaskEvent",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "Upload",
    "WebhookError",
    "WebhookEvent",
    "verify_webhook",
]
