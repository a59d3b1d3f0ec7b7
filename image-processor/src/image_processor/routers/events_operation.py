"""The event stream in the OpenAPI document; a process other than the API's serves it."""

from flask_openapi3.models import PathItem
from service_kit.api import PROBLEM_CONTENT

from image_processor.services.tasks.event_stream import MAX_IDS

_ID = {
    "name": "id",
    "in": "query",
    "description": "Only these tasks; may be repeated.",
    "schema": {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": MAX_IDS},
}
_BATCH_ID = {
    "name": "batch_id",
    "in": "query",
    "description": "Only tasks of this batch.",
    "schema": {"type": "integer", "minimum": 0},
}
_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last event received: the stream continues after it.",
    "schema": {"type": "string"},
}

EVENTS = PathItem.model_validate(
    {
        "get": {
            "tags": ["tasks"],
            "summary": "Follow the changes of tasks (Server-Sent Events)",
            "description": "Each committed change of a task's status is an event `task`; its data is a JSON"
            " object with `id`, `status`, `result_id`, `batch_id` and, of a failed task, `error`. The stream never ends"
            " by itself.",
            "parameters": [_ID, _BATCH_ID, _LAST_EVENT_ID],
            "responses": {
                "200": {"description": "The stream.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
                "400": {"description": "`Last-Event-ID` is not the id of an event.", "content": PROBLEM_CONTENT},
                "422": {"description": "Invalid ids, or unknown parameters.", "content": PROBLEM_CONTENT},
                "429": {"description": "The owner has too many open streams.", "content": PROBLEM_CONTENT},
                "503": {"description": "The database is unavailable.", "content": PROBLEM_CONTENT},
            },
        }
    }
)
