"""The event stream and the webhooks in the OpenAPI document; other processes than the API's serve and send them."""

from collections.abc import Mapping

from flask_openapi3 import Schema
from flask_openapi3.models import PathItem, Reference
from pydantic import BaseModel, ConfigDict, Field
from service_kit.api import PROBLEM_CONTENT
from service_kit.openapi import REFERENCE, schema_of

from image_processor.models import TaskStatus
from image_processor.routers.tasks import TaskProblemOut
from image_processor.services.tasks.event_stream import MAX_IDS


class TaskEventOut(BaseModel):
    """The data of an event `task`: a committed change of a task's status."""

    model_config = ConfigDict(title="TaskEvent")

    id: int = Field(description="The task's id.")
    status: TaskStatus
    result_id: int | None = Field(description="The id of the result file, once the task is finished.")
    error: str | None = Field(None, description="Why the task ended in error, in English; present only then.")
    problem: TaskProblemOut | None = Field(None, description="The same for programs.")


class EndedTaskOut(BaseModel):
    """The task of a webhook."""

    model_config = ConfigDict(title="EndedTask")

    id: int
    owner: str
    attempt: int
    status: TaskStatus
    result_id: int | None
    error: str | None = Field(None, description="Why the task ended in error, in English; present only then.")
    problem: TaskProblemOut | None = Field(None, description="The same for programs.")


class TaskWebhookOut(BaseModel):
    """The body of a webhook, sent when a task has ended."""

    model_config = ConfigDict(title="TaskWebhook")

    type: str = Field(description="`task.finished`, `task.error` or `task.cancelled`.")
    task: EndedTaskOut


EVENTS_BY_NAME: Mapping[str, type[BaseModel]] = {"task": TaskEventOut}
"""The model of the data of each kind of event."""


def event_schemas() -> Mapping[str, Schema]:
    """Return the schemas of the data of events and webhooks, by their names in the document."""
    models: list[type[BaseModel]] = [*EVENTS_BY_NAME.values(), TaskWebhookOut]
    return {model.__name__: Schema.model_validate(schema_of(model)) for model in models}


_ID = {
    "name": "id",
    "in": "query",
    "description": "Only these tasks; may be repeated.",
    "schema": {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": MAX_IDS},
}
_LAST_EVENT_ID = {
    "description": "The id of the last event received: the stream continues after it.",
    "schema": {"type": "string"},
}
_STREAM = {
    "description": "The stream. `x-events` has the schema of the data of each kind of event.",
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "x-events": {
                name: {"$ref": REFERENCE.format(model=model.__name__)} for name, model in EVENTS_BY_NAME.items()
            },
        }
    },
}

EVENTS = PathItem.model_validate(
    {
        "get": {
            "tags": ["tasks"],
            "summary": "Follow the changes of tasks (Server-Sent Events)",
            "description": "Each committed change of a task's status is an event `task`; its data is a JSON"
            " object with `id`, `status`, `result_id` and, of a failed task, `error` and `problem`. The stream never"
            " ends by itself.",
            "parameters": [
                _ID,
                {"name": "Last-Event-ID", "in": "header", **_LAST_EVENT_ID},
                {"name": "last_event_id", "in": "query", **_LAST_EVENT_ID},
            ],
            "responses": {
                "200": _STREAM,
                "400": {"description": "`Last-Event-ID` is not the id of an event.", "content": PROBLEM_CONTENT},
                "422": {"description": "Invalid task ids.", "content": PROBLEM_CONTENT},
                "429": {"description": "The owner has too many open streams.", "content": PROBLEM_CONTENT},
                "503": {"description": "The database is unavailable.", "content": PROBLEM_CONTENT},
            },
        }
    }
)

WEBHOOKS: dict[str, PathItem | Reference] = {
    "task": PathItem.model_validate(
        {
            "post": {
                "tags": ["tasks"],
                "summary": "A task has ended",
                "description": "Sent to the batch's `callback_url`, signed as Standard Webhooks says.",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": REFERENCE.format(model="TaskWebhookOut")}}},
                },
                "responses": {"2XX": {"description": "It was received. After any other answer it is sent again."}},
            }
        }
    )
}
