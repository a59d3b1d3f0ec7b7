"""The representation of task events for clients of the event stream."""

from service_kit.access.principals import Scope
from service_kit.events.routes import Kind, id_in, ids_in
from service_kit.languages import Language
from starlette.datastructures import QueryParams

from image_processor.models import TaskEvent, TaskStatus
from image_processor.services.causes import problem_document
from image_processor.services.tasks.event_choice import TaskChoice


def _choice(query: QueryParams) -> TaskChoice:
    return TaskChoice(ids_in(query), id_in(query, "batch_id"))


def _as_json(event: TaskEvent, language: Language) -> dict[str, object]:
    if event.is_of_batch:
        return {"id": event.batch_id, "status": "ended"}
    document: dict[str, object] = {
        "id": event.task_id,
        "status": event.status,
        "result_id": event.result_id,
        "batch_id": event.batch_id,
    }
    if event.status == TaskStatus.ERROR:
        document["error"] = event.error
        document["problem"] = problem_document(event.error_problem, language)
    return document


def _name(event: TaskEvent) -> str:
    return "batch" if event.is_of_batch else "task"


TASK_EVENTS = Kind("task", Scope.TASKS_READ, _choice, _as_json, ("id", "batch_id"), _name)
