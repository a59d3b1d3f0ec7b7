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
    "TaskEvent",
    "TaskStatus",
    "UnendedTasks",
]
