"""The OpenAPI description of an event stream, which a process other than the API's serves."""

from collections.abc import Mapping

from flask_openapi3.models import PathItem
from pydantic import BaseModel

from service_kit.api import PROBLEM_CONTENT
from service_kit.events.routes import MAX_IDS
from service_kit.openapi import REFERENCE

_LAST_EVENT_ID = "The id of the last event received: the stream continues after it."


def events_operation(
    noun: str,
    tag: str,
    summary: str,
    description: str,
    events: Mapping[str, type[BaseModel]],
    filters: Mapping[str, str] | None = None,
) -> PathItem:
    """Return the operation that opens a stream.

    :param noun: the subject of the events, such as ``task``.
    :param events: the model of the data of each kind of event.
    :param filters: further query parameters that take an id, with their descriptions.
    """
    ids = {"type": "integer", "minimum": 1}
    parameters = [
        {
            "name": "id",
            "in": "query",
            "description": f"Only these {noun}s; may be repeated.",
            "schema": {"type": "array", "items": ids, "maxItems": MAX_IDS},
        },
        *({"name": name, "in": "query", "description": text, "schema": ids} for name, text in (filters or {}).items()),
        {"name": "Last-Event-ID", "in": "header", "description": _LAST_EVENT_ID, "schema": {"type": "string"}},
        {
            "name": "last_event_id",
            "in": "query",
            "description": "The same, for clients that cannot set the header.",
            "schema": {"type": "string"},
        },
    ]
    responses = {
        "200": {
            "description": "The stream. `x-events` has the schema of the data of each kind of event.",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "x-events": {
                        name: {"$ref": REFERENCE.format(model=model.__name__)} for name, model in events.items()
                    },
                }
            },
        },
        "400": {"description": "`Last-Event-ID` is not the id of an event.", "content": PROBLEM_CONTENT},
        "422": {"description": "Invalid ids, or unknown parameters.", "content": PROBLEM_CONTENT},
        "429": {"description": "The owner has too many open streams.", "content": PROBLEM_CONTENT},
        "503": {"description": "The database is unavailable.", "content": PROBLEM_CONTENT},
    }
    operation = {"summary": summary, "description": description, "parameters": parameters, "responses": responses}
    return PathItem.model_validate({"get": {"tags": [tag], **operation}})
