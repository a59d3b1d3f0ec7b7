"""The database models of image-processor."""

from image_processor.models.preset import Preset
from image_processor.models.task import (
    Base,
    Batch,
    BatchKey,
    CachedResult,
    Callback,
    CallbackHost,
    DiscardedResult,
    EndedTasks,
    Task,
    TaskChore,
    TaskEvent,
    TaskStatus,
    UnendedTasks,
)

__all__ = [
    "Base",
    "Batch",
    "BatchKey",
    "CachedResult",
    "Callback",
    "CallbackHost",
    "DiscardedResult",
    "EndedTasks",
    "Preset",
    "Task",
    "TaskChore",
    "TaskEvent",
    "TaskStatus",
    "UnendedTasks",
]
