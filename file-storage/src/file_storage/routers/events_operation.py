"""Documents the event stream in OpenAPI; a process other than the API's serves it."""

from collections.abc import Mapping

from flask_openapi3 import Schema
from pydantic import BaseModel, ConfigDict, Field
from service_kit.events.operation import events_operation
from service_kit.openapi import schema_of

from file_storage.models import FileChange
from file_storage.routers.schemas import FileOut


class FileEventOut(BaseModel):
    """The data of an event `file`: a committed change of a file."""

    model_config = ConfigDict(title="FileEvent")

    id: int = Field(description="The file's id.")
    change: FileChange
    file: FileOut | None = Field(
        None, description="The file as it is when the event is sent; null if it has been deleted since."
    )


EVENTS_BY_NAME: Mapping[str, type[BaseModel]] = {"file": FileEventOut}


def event_schemas() -> Mapping[str, Schema]:
    """Return the schemas of event data, by their names in the document."""
    return {model.__name__: Schema.model_validate(schema_of(model)) for model in EVENTS_BY_NAME.values()}


EVENTS = events_operation(
    "file",
    "files",
    "Follow the changes of files (Server-Sent Events)",
    "Each committed change is an event `file`; its data is a JSON object with `id`, `change` (`created`, `changed` or"
    " `deleted`) and, unless it is `deleted`, `file`: the file as it is when the event is sent, or null if it has been"
    " deleted since. The stream never ends by itself.",
    EVENTS_BY_NAME,
)
