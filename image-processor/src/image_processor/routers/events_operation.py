"""Documents the event stream in OpenAPI; a process other than the API's serves it."""

from collections.abc import Mapping
from typing import Literal

from flask_openapi3 import Schema
from pydantic import BaseModel, ConfigDict, Field
from service_kit.events.operation import events_operation
from service_kit.openapi import schema_of

from image_processor.models import TaskStatus
from image_processor.routers.tasks import TaskProblemOut


class TaskEventOut(BaseModel):
    """The data of an event `task`: a committed change of a task's status."""

    model_config = ConfigDict(title="TaskEvent")

    id: int = Field(description="The task's id.")
    status: TaskStatus
    result_id: int | None = Field(description="The id of the result file, once the task is finished.")
    batch_id: int | None = Field(description="The batch's id; null for a task that was created before batches existed.")
    error: str | None = Field(None, description="Why the task ended in error, in English; present only then.")
    problem: TaskProblemOut | None = Field(None, description="The same error as a machine-readable problem.")


class BatchEventOut(BaseModel):
    """The data of an event `batch`: the last task of a batch has ended."""

    model_config = ConfigDict(title="BatchEvent")

    id: int = Field(description="The batch's id.")
    status: Literal["ended"]


EVENTS_BY_NAME: Mapping[str, type[BaseModel]] = {"task": TaskEventOut, "batch": BatchEventOut}
"""The data model of each kind of event."""


def event_schemas() -> Mapping[str, Schema]:
    """Return the schemas of event data, by their names in the document."""
    return {model.__name__: Schema.model_validate(schema_of(model)) for model in EVENTS_BY_NAME.values()}


EVENTS = events_operation(
    "task",
    "tasks",
    "Follow the changes of tasks (Server-Sent Events)",
    "Each committed change of a task's status is an event `task`; its data is a JSON object with `id`, `status`,"
    " `result_id`, `batch_id` and, for a failed task, `error` and `problem`. When the last task of a batch has ended,"
    " with any status, an event `batch` follows the event of that task. The stream never ends by itself.",
    EVENTS_BY_NAME,
    {"batch_id": "Only this batch and its tasks."},
)
