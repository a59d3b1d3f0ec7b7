"""Documents the event stream and the webhooks in OpenAPI; processes other than the API's serve and send them."""

from collections.abc import Mapping
from typing import Literal

from flask_openapi3 import Schema
from flask_openapi3.models import PathItem, Reference
from pydantic import BaseModel, ConfigDict, Field
from service_kit.events.operation import events_operation
from service_kit.openapi import REFERENCE, schema_of

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


class EndedTaskOut(BaseModel):
    """The task of a webhook."""

    model_config = ConfigDict(title="EndedTask")

    id: int
    owner: str
    attempt: int
    status: TaskStatus
    result_id: int | None
    error: str | None = Field(None, description="Why the task ended in error, in English; present only then.")
    problem: TaskProblemOut | None = Field(None, description="The same error as a machine-readable problem.")


class TaskWebhookOut(BaseModel):
    """The body of a webhook, sent when a task has ended."""

    model_config = ConfigDict(title="TaskWebhook")

    type: str = Field(description="`task.finished`, `task.error` or `task.cancelled`.")
    task: EndedTaskOut


EVENTS_BY_NAME: Mapping[str, type[BaseModel]] = {"task": TaskEventOut, "batch": BatchEventOut}
"""The data model of each kind of event."""


def event_schemas() -> Mapping[str, Schema]:
    """Return the schemas of event and webhook data, by their names in the document."""
    models: list[type[BaseModel]] = [*EVENTS_BY_NAME.values(), TaskWebhookOut]
    return {model.__name__: Schema.model_validate(schema_of(model)) for model in models}


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

WEBHOOKS: dict[str, PathItem | Reference] = {
    "task": PathItem.model_validate(
        {
            "post": {
                "tags": ["tasks"],
                "summary": "A task has ended",
                "description": "Sent to the batch's `callback_url`, signed according to Standard Webhooks.",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": REFERENCE.format(model="TaskWebhookOut")}}},
                },
                "responses": {
                    "2XX": {"description": "The webhook was received. After any other response it is sent again."}
                },
            }
        }
    )
}
