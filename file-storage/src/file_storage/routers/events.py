"""The representation of file events for clients of the event stream."""

from service_kit.access.principals import Scope
from service_kit.events.routes import Kind, ids_in
from service_kit.languages import Language
from starlette.datastructures import QueryParams

from file_storage.models import FileChange, FileEvent
from file_storage.routers.rows import as_json
from file_storage.services.events import FileChoice


def _choice(query: QueryParams) -> FileChoice:
    return FileChoice(ids_in(query))


def _as_json(event: FileEvent, _language: Language) -> dict[str, object]:
    document: dict[str, object] = {"id": event.file_id, "change": event.change}
    if event.change != FileChange.DELETED:
        document["file"] = None if event.file is None else as_json(event.file)
    return document


FILE_EVENTS = Kind("file", Scope.FILES_READ, _choice, _as_json)
