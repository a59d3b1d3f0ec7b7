"""Documents the webhooks in OpenAPI; a process other than the API's sends them."""

from collections.abc import Mapping

from flask_openapi3 import Schema
from flask_openapi3.models import PathItem, Reference
from pydantic import BaseModel, ConfigDict, Field
from service_kit.openapi import REFERENCE, schema_of

from image_processor.models import TaskStatus
from image_processor.routers.tasks import TaskProblemOut


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


def webhook_schemas() -> Mapping[str, Schema]:
    """Return the schemas of webhook data, by their names in the document."""
    return {TaskWebhookOut.__name__: Schema.model_validate(schema_of(TaskWebhookOut))}


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
