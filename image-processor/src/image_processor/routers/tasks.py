"""The endpoints of tasks."""

import json
from functools import partial
from typing import Annotated, Literal, Self

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, field_validator, model_validator
from service_kit.access.flask_gate import needs, principal
from service_kit.access.gate import require
from service_kit.access.principals import Scope
from service_kit.api import array_response, preferred_language, problem_responses
from service_kit.database import MAX_ID
from service_kit.json_types import NO_NUL, OPTIONAL, WHOLE_NUMBER
from service_kit.languages import Language
from service_kit.paging import PageQuery, list_response
from service_kit.request_body import described, json_body
from service_kit.texts import sentence

from image_processor.models import Task, TaskStatus
from image_processor.routers.batch_schema import batch_body
from image_processor.services.causes import problem_document
from image_processor.services.tasks.tasks import Batch, TaskFilter, TaskService

tasks = APIBlueprint("tasks", __name__, abp_tags=[Tag(name="tasks")])

BATCH_LIMIT = 10_000
"""Files in one batch, at most."""

FileId = Annotated[int, Field(ge=1, le=MAX_ID), WHOLE_NUMBER]


def _without_credentials(url: HttpUrl) -> HttpUrl:
    if url.username is not None or url.password is not None:
        raise ValueError(sentence("a callback URL must not have a user name or password; callbacks are signed instead"))
    return url


CallbackUrl = Annotated[HttpUrl, AfterValidator(_without_credentials)]


class TaskProblemOut(BaseModel):
    """Why a task ended in error."""

    model_config = ConfigDict(title="TaskProblem")

    type: str = Field(description="The kind of problem, as a URN.")
    detail: str
    context: dict[str, object] = Field(description="The values that `detail` contains.")


class TaskOut(BaseModel):
    """A task: one algorithm on one file."""

    model_config = ConfigDict(title="Task")

    id: int
    source_id: int = Field(description="The id of the source file.")
    result_id: int | None = Field(description="The id of the result file, once the task is finished.")
    status: TaskStatus
    algorithm: str
    params: dict[str, object] | None
    error: str | None = Field(None, description="Why the task ended in error, in English; present only then.")
    problem: TaskProblemOut | None = Field(None, description="The same for programs; its `detail` can be translated.")
    priority: int | None = Field(None, description="1 to 9; absent if it is 0.")


class TasksIn(BaseModel):
    """A batch: the same algorithm on each of the files."""

    model_config = ConfigDict(extra="forbid")

    file_ids: list[FileId] = Field(
        min_length=1,
        max_length=BATCH_LIMIT,
        description="1 to 10,000 different file ids.",
        json_schema_extra={"uniqueItems": True},
    )
    algorithm: str | None = Field(None, min_length=1, max_length=64, description="A name from `algorithms`.")
    params: dict[str, object] | None = Field(None, description="According to the algorithm's schema.")
    preset: str | None = Field(
        None, min_length=1, max_length=64, pattern=NO_NUL, description="A name from `presets`, instead of `algorithm`."
    )
    priority: Annotated[int, Field(ge=0, le=9), WHOLE_NUMBER] = Field(
        0, description="0 to 9; tasks of a higher priority run first. Above 0 needs the scope `tasks:priority`."
    )
    cache: bool = Field(default=True, strict=True, description="Whether an earlier result may be reused.")
    callback_url: CallbackUrl | None = Field(
        None,
        description="The URL that gets a signed webhook when a task has ended (finished, error, cancelled). It needs"
        " the scope `webhooks`.",
    )

    @field_validator("file_ids")
    @classmethod
    def _no_id_repeats(cls, file_ids: list[int]) -> list[int]:
        if len(set(file_ids)) != len(file_ids):
            raise ValueError(sentence("each file id may appear only once"))
        return file_ids

    @model_validator(mode="after")
    def _algorithm_or_preset(self) -> Self:
        if (self.algorithm is None) == (self.preset is None):
            raise ValueError(sentence("give either algorithm, with its params, or preset"))
        if self.preset is not None and self.params is not None:
            raise ValueError(sentence("a preset has its own params"))
        return self


class TaskIdsOut(BaseModel):
    """The ids of the new tasks, in the order of ``file_ids``."""

    task_ids: list[int]


class TaskPath(BaseModel):
    id: int = Field(description="The task's id.")


class TaskQuery(PageQuery[int]):
    """The filter of a list of tasks."""

    after: int = Field(0, ge=0, le=MAX_ID, description="Only tasks with a greater id.")
    id: Annotated[Annotated[list[Annotated[int, Field(ge=1, le=MAX_ID)]], Field(max_length=1000)] | None, OPTIONAL] = (
        Field(None, description="Only these tasks; may be repeated.")
    )
    status: Annotated[TaskStatus | None, OPTIONAL] = Field(None, description="Only tasks in this state.")
    algorithm: Annotated[Annotated[str, Field(max_length=64)] | None, OPTIONAL] = Field(
        None, description="Only tasks of this algorithm."
    )
    source_id: Annotated[Annotated[int, Field(ge=1, le=MAX_ID)] | None, OPTIONAL] = Field(
        None, description="Only tasks of this file."
    )


class RestartIn(BaseModel):
    """The filter of a restart: all tasks that match are restarted."""

    model_config = ConfigDict(extra="forbid")

    status: Literal[TaskStatus.ERROR, TaskStatus.CANCELLED]
    algorithm: str | None = Field(None, max_length=64, description="Only tasks of this algorithm.")


_TASKS = array_response({"$ref": "#/components/schemas/Task"})


@tasks.post(
    "/",
    summary="Create tasks",
    openapi_extensions={"requestBody": batch_body(TasksIn, tasks)},
    responses={201: TaskIdsOut, **problem_responses(400, 403, 404, 413, 415, 422, 429, 503)},
)
@needs(Scope.TASKS_WRITE)
def create_tasks() -> Response:
    batch = json_body(TasksIn)
    if batch.priority:
        require(principal(), Scope.TASKS_PRIORITY)
    if batch.callback_url is not None:
        require(principal(), Scope.WEBHOOKS)
    task_ids = svcs.flask.get(TaskService).create(
        principal(),
        Batch(
            file_ids=batch.file_ids,
            algorithm=batch.algorithm,
            params=batch.params,
            preset=batch.preset,
            priority=batch.priority,
            cache=batch.cache,
            callback_url=None if batch.callback_url is None else str(batch.callback_url),
        ),
    )
    return Response(json.dumps({"task_ids": list(task_ids)}), 201, mimetype="application/json")


@tasks.get("/", summary="List tasks", responses={200: _TASKS, **problem_responses(422)})
@needs(Scope.TASKS_READ)
def list_tasks(query: TaskQuery) -> Response:
    wanted = TaskFilter(query.id or (), query.status, query.algorithm, query.source_id)
    page = partial(svcs.flask.get(TaskService).page, principal(), wanted=wanted)
    # A stream is written after the request.
    as_json = partial(_as_json, language=preferred_language())
    return list_response(page, lambda task: task.id, as_json, query, f"{request.script_root}/")


@tasks.get("/<int:id>", summary="Get a task", responses={200: TaskOut, **problem_responses(404)})
@needs(Scope.TASKS_READ)
def get_task(path: TaskPath) -> dict[str, object]:
    return _as_json(svcs.flask.get(TaskService).get(principal(), path.id), preferred_language())


@tasks.delete("/<int:id>", summary="Delete a task that has ended", responses={204: None, **problem_responses(404, 409)})
@needs(Scope.TASKS_WRITE)
def delete_task(path: TaskPath) -> Response:
    svcs.flask.get(TaskService).delete(principal(), path.id)
    return Response(status=204)


@tasks.post(
    "/<int:id>/cancel",
    summary="Cancel a task that is pending or processing",
    responses={200: TaskOut, **problem_responses(404, 409)},
)
@needs(Scope.TASKS_WRITE)
def cancel_task(path: TaskPath) -> dict[str, object]:
    return _as_json(svcs.flask.get(TaskService).cancel(principal(), path.id), preferred_language())


@tasks.post(
    "/restart",
    summary="Restart all tasks that ended in error or were cancelled",
    responses={200: TaskIdsOut, **problem_responses(400, 413, 415, 422, 429)},
    openapi_extensions=described(RestartIn),
)
@needs(Scope.TASKS_WRITE)
def restart_tasks() -> dict[str, object]:
    wanted = json_body(RestartIn)
    chosen = TaskFilter(status=wanted.status, algorithm=wanted.algorithm)
    restarted = svcs.flask.get(TaskService).restart_all(principal(), chosen)
    return {"task_ids": list(restarted)}


@tasks.post(
    "/<int:id>/restart",
    summary="Restart a task that ended in error or was cancelled",
    responses={200: TaskOut, **problem_responses(404, 409, 429)},
)
@needs(Scope.TASKS_WRITE)
def restart_task(path: TaskPath) -> dict[str, object]:
    return _as_json(svcs.flask.get(TaskService).restart(principal(), path.id), preferred_language())


def _as_json(task: Task, language: Language) -> dict[str, object]:
    document: dict[str, object] = {
        "id": task.id,
        "source_id": task.source_id,
        "result_id": task.result_id,
        "status": task.status,
        "algorithm": task.algorithm,
        "params": task.params,
    }
    if task.status == TaskStatus.ERROR:
        document["error"] = task.error
        document["problem"] = problem_document(task.error_problem, language)
    if task.priority:
        document["priority"] = task.priority
    return document
