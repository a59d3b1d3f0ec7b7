"""What events of files are to clients."""

from service_kit.access.principals import Scope
from service_kit.events.operation import events_operation
from service_kit.events.routes import Kind, ids_in
from starlette.datastructures import QueryParams

from file_storage.models import FileChange, FileEvent
from file_storage.routers.schemas import as_json
from file_storage.services.events import FileChoice

EVENTS = events_operation(
    "file",
    "files",
    "Follow the changes of files (Server-Sent Events)",
    "Each committed change is an event `file`; its data is a JSON object with `id`, `change` (`created`, `changed` or"
    " `deleted`) and, unless it is `deleted`, `file`: the file as it is when the event is sent, or null if it has been"
    " deleted since. The stream never ends by itself.",
)


def _choice(query: QueryParams) -> FileChoice:
    return FileChoice(ids_in(query, "file"))


def _as_json(event: FileEvent) -> dict[str, object]:
    document: dict[str, object] = {"id": event.file_id, "change": event.change}
    if event.change != FileChange.DELETED:
        document["file"] = None if event.file is None else as_json(event.file)
    return document


FILE_EVENTS = Kind("file", Scope.FILES_READ, _choice, _as_json)
