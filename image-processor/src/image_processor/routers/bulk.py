"""The endpoints that cancel, restart and delete many tasks with one request."""

from typing import Annotated, Literal, Self

import svcs
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from service_kit.access.flask_gate import needs, principal
from service_kit.access.principals import Scope
from service_kit.api import problem_responses
from service_kit.database import MAX_ID
from service_kit.errors import RuleError
from service_kit.json_types import NO_NUL, WHOLE_NUMBER
from service_kit.request_body import json_body
from service_kit.texts import sentence

from image_processor.models import TaskStatus
from image_processor.services.tasks.bulk import BulkService, Changed, SearchPosition
from image_processor.services.tasks.filters import TaskFilter

bulk = APIBlueprint("bulk", __name__, abp_tags=[Tag(name="tasks")])

MAX_IDS = 10_000
"""Maximum number of ids in one request."""

_Id = Annotated[int, Field(ge=1, le=MAX_ID), WHOLE_NUMBER]
_Unended = Literal[TaskStatus.PENDING, TaskStatus.PROCESSING]
_Restartable = Literal[TaskStatus.ERROR, TaskStatus.CANCELLED]
_Ended = Literal[TaskStatus.FINISHED, TaskStatus.ERROR, TaskStatus.CANCELLED]
_CURSOR_PATTERN = "^[0-9]-[0-9]{1,18}-[0-9]{1,18}$"
_STATUS = "Only tasks in this state, or in any of these states."
_PROBLEMS = problem_responses(400, 404, 413, 415, 422)


class TaskIdsOut(BaseModel):
    """The ids of the tasks that were changed, in order."""

    task_ids: list[int]
    more: bool = Field(
        description="Whether the request ended early, after 10,000 tasks or 20 seconds. To change the rest, repeat it: "
        "with `cursor`, or with `ids` without these."
    )
    cursor: str | None = Field(
        None,
        description="Where the next request with the same filter continues, so that it visits no task again; absent if "
        "`more` is false, or for `ids`.",
    )


class ChosenIn(BaseModel):
    """The selected tasks: those with these ids, or all that match the other fields."""

    model_config = ConfigDict(extra="forbid")

    ids: (
        Annotated[list[_Id], Field(min_length=1, max_length=MAX_IDS, json_schema_extra={"uniqueItems": True})] | None
    ) = Field(None, description="1 to 10,000 different task ids, without any other field.")
    batch_id: _Id | None = Field(None, description="Only tasks of this batch.")
    algorithm: Annotated[str, Field(max_length=64, pattern=NO_NUL)] | None = Field(
        None, description="Only tasks of this algorithm."
    )
    cursor: Annotated[str, Field(pattern=_CURSOR_PATTERN)] | None = Field(
        None,
        description="The `cursor` of the previous response, with the same other fields: continue there. Tasks created "
        "after the first request are not changed.",
    )

    @field_validator("ids", "batch_id", "status", "cursor", mode="before", check_fields=False)
    @classmethod
    def _not_null(cls, value: object) -> object:
        if value is None:
            raise RuleError("null", sentence("may be omitted, but must not be null"))
        return value

    @field_validator("ids")
    @classmethod
    def _no_id_repeats(cls, ids: list[int] | None) -> list[int] | None:
        if ids is not None and len(set(ids)) != len(ids):
            raise RuleError("repeated", sentence("each id may appear only once"))
        return ids

    @model_validator(mode="after")
    def _ids_or_filter(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if not given:
            raise RuleError("ids_or_filters", sentence("select the tasks: give ids, batch_id, status or algorithm"))
        if "ids" in given and len(given) > 1:
            raise RuleError("ids_or_filters", sentence("ids already selects the tasks; omit the other fields"))
        if given == ["cursor"]:
            raise RuleError("cursor_without_filter", sentence("repeat the filter with the cursor"))
        return self


class CancelIn(ChosenIn):
    """The tasks to cancel; those that have ended stay as they are."""

    status: _Unended | Annotated[list[_Unended], Field(min_length=1, max_length=2)] | None = Field(
        None, description=_STATUS
    )


class RestartIn(ChosenIn):
    """The tasks to restart; those that are not in error or cancelled stay as they are."""

    status: _Restartable | Annotated[list[_Restartable], Field(min_length=1, max_length=2)] | None = Field(
        None, description=_STATUS
    )


class ForgetIn(ChosenIn):
    """The tasks to delete; those that have not ended stay as they are."""

    status: _Ended | Annotated[list[_Ended], Field(min_length=1, max_length=3)] | None = Field(
        None, description=_STATUS
    )


def _body(model: type[ChosenIn]) -> dict[str, object]:
    """Return the OpenAPI request body of a model, with a variant for each field that can select tasks by itself."""
    fields = model.model_json_schema()["properties"]
    only = {name: _without_null(fields[name]) for name in ("ids", "batch_id", "status", "algorithm", "cursor")}
    cursor = {"cursor": only["cursor"]}
    more = {"algorithm": fields["algorithm"], **cursor}
    variants = [
        _variant("ids", {"ids": only["ids"]}),
        _variant("batch_id", {"batch_id": only["batch_id"], "status": only["status"], **more}),
        _variant("status", {"status": only["status"], **more}),
        _variant("algorithm", {"algorithm": only["algorithm"], **cursor}),
    ]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": {"oneOf": variants}}}}}


def _variant(required: str, properties: dict[str, object]) -> dict[str, object]:
    return {
        "title": required,
        "type": "object",
        "additionalProperties": False,
        "required": [required],
        "properties": properties,
    }


def _without_null(field: dict[str, object]) -> dict[str, object]:
    choices = field["anyOf"]
    kept = [choice for choice in choices if choice != {"type": "null"}] if isinstance(choices, list) else []
    return {"description": field["description"], **(kept[0] if len(kept) == 1 else {"anyOf": kept})}


@bulk.post(
    "/cancel",
    summary="Cancel many tasks",
    responses={200: TaskIdsOut, **_PROBLEMS},
    openapi_extensions=_body(CancelIn),
)
@needs(Scope.TASKS_WRITE)
def cancel_tasks() -> dict[str, object]:
    chosen = json_body(CancelIn)
    return _as_json(svcs.flask.get(BulkService).cancel(principal(), _filter(chosen), _position(chosen)))


@bulk.post(
    "/restart",
    summary="Restart many tasks that ended in error or were cancelled",
    responses={200: TaskIdsOut, **_PROBLEMS, **problem_responses(429)},
    openapi_extensions=_body(RestartIn),
)
@needs(Scope.TASKS_WRITE)
def restart_tasks() -> dict[str, object]:
    chosen = json_body(RestartIn)
    return _as_json(svcs.flask.get(BulkService).restart(principal(), _filter(chosen), _position(chosen)))


@bulk.post(
    "/forget",
    summary="Delete many tasks that have ended",
    responses={200: TaskIdsOut, **_PROBLEMS},
    openapi_extensions=_body(ForgetIn),
)
@needs(Scope.TASKS_WRITE)
def forget_tasks() -> dict[str, object]:
    chosen = json_body(ForgetIn)
    return _as_json(svcs.flask.get(BulkService).forget(principal(), _filter(chosen), _position(chosen)))


def _as_json(changed: Changed) -> dict[str, object]:
    cursor = {} if changed.position is None else {"cursor": changed.position.cursor}
    return {"task_ids": list(changed.ids), "more": changed.more, **cursor}


def _position(chosen: ChosenIn) -> SearchPosition | None:
    return None if chosen.cursor is None else SearchPosition.of(chosen.cursor)


def _filter(chosen: CancelIn | RestartIn | ForgetIn) -> TaskFilter:
    status = chosen.status
    statuses = [] if status is None else list(status) if isinstance(status, list) else [status]
    algorithms = [] if chosen.algorithm is None else [chosen.algorithm]
    return TaskFilter(chosen.ids or (), statuses, algorithms, (), chosen.batch_id)
