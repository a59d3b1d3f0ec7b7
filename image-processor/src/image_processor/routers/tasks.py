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
from service_kit.errors import RuleError
from service_kit.idempotency_key import idempotency_key, takes_key
from service_kit.json_types import NO_NUL, OPTIONAL, WHOLE_NUMBER
from service_kit.languages import Language
from service_kit.paging import PageQuery, list_response
from service_kit.request_body import json_body
from service_kit.texts import sentence
from werkzeug.http import http_date

from image_processor.models import Task, TaskStatus
from image_processor.routers.batch_schema import batch_body
from image_processor.routers.times import date_or_none
from image_processor.services.causes import problem_document
from image_processor.services.tasks.failures import CAUSE_KEY
from image_processor.services.tasks.filters import TaskFilter
from image_processor.services.tasks.tasks import NewBatch, TaskService

tasks = APIBlueprint("tasks", __name__, abp_tags=[Tag(name="tasks")])

TASKS_PER_READ = 1000
"""Each read of the tasks of a batch sorts all of them."""
BATCH_LIMIT = 10_000
"""Maximum number of files in one batch."""
MAX_EXPIRES_IN = 10 * 365 * 86_400
"""Maximum of ``expires_in`` in seconds, as for files at the file server."""

FileId = Annotated[int, Field(ge=1, le=MAX_ID), WHOLE_NUMBER]


def _without_credentials(url: HttpUrl) -> HttpUrl:
    if url.username is not None or url.password is not None:
        raise RuleError(
            "url_with_credentials",
            sentence("a callback URL must not have a user name or password; webhooks are signed instead"),
        )
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
    problem: TaskProblemOut | None = Field(
        None, description="The same error as a machine-readable problem; its `detail` can be translated."
    )
    priority: int | None = Field(None, description="1 to 9; absent if it is 0.")
    batch_id: int | None = Field(description="The batch's id; null for a task that was created before batches existed.")
    preset: str | None = Field(description="The preset that the batch named.")
    source_name: str = Field(description="The source's name with its extension, when the task was created.")
    attempt: int = Field(description="How many times the task was started.")
    created_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7), like all times.")
    started_at: str | None = Field(description="When the newest attempt began.")
    ended_at: str | None = Field(description="When the task was finished, failed or cancelled.")


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
        0,
        description="0 to 9; tasks of a higher priority run first. A priority above 0 requires the scope "
        "`tasks:priority`.",
    )
    cache: bool = Field(default=True, strict=True, description="Whether an earlier result may be reused.")
    callback_url: CallbackUrl | None = Field(
        None,
        description="The URL that receives a signed webhook when a task has ended (finished, error, cancelled). It "
        "requires the scope `webhooks`.",
    )
    expires_in: Annotated[int, Field(ge=1, le=MAX_EXPIRES_IN), WHOLE_NUMBER] | None = Field(
        None, description="Seconds after which a result is deleted; by default, results are kept."
    )

    @field_validator("file_ids")
    @classmethod
    def _no_id_repeats(cls, file_ids: list[int]) -> list[int]:
        if len(set(file_ids)) != len(file_ids):
            raise RuleError("repeated", sentence("each file id may appear only once"))
        return file_ids

    @model_validator(mode="after")
    def _algorithm_or_preset(self) -> Self:
        if (self.algorithm is None) == (self.preset is None):
            raise RuleError("algorithm_or_preset", sentence("give either algorithm, with its params, or preset"))
        if self.preset is not None and self.params is not None:
            raise RuleError("preset_alone", sentence("a preset has its own params"))
        return self


class CreatedOut(BaseModel):
    """The ids of the new batch and of its tasks, in the order of ``file_ids``."""

    task_ids: list[int]
    batch_id: int


class TaskPath(BaseModel):
    id: int = Field(description="The task's id.")


class TaskQuery(PageQuery[int]):
    """The filter of a list of tasks."""

    after: int = Field(
        0, ge=0, le=MAX_ID, description="Only tasks after the task with this id, in the order of `sort`."
    )
    sort: Literal["id", "-id"] = Field("id", description="`id`: the oldest first; `-id`: the newest first.")
    id: Annotated[Annotated[list[Annotated[int, Field(ge=1, le=MAX_ID)]], Field(max_length=1000)] | None, OPTIONAL] = (
        Field(None, description="Only these tasks; may be repeated.")
    )
    status: Annotated[Annotated[list[TaskStatus], Field(max_length=len(TaskStatus))] | None, OPTIONAL] = Field(
        None, description="Only tasks in this state; may be repeated."
    )
    algorithm: Annotated[
        Annotated[list[Annotated[str, Field(max_length=64, pattern=NO_NUL)]], Field(max_length=100)] | None, OPTIONAL
    ] = Field(None, description="Only tasks of this algorithm; may be repeated.")
    source_id: Annotated[
        Annotated[list[Annotated[int, Field(ge=1, le=MAX_ID)]], Field(max_length=100)] | None, OPTIONAL
    ] = Field(None, description="Only tasks of this file; may be repeated.")
    batch_id: Annotated[Annotated[int, Field(ge=1, le=MAX_ID)] | None, OPTIONAL] = Field(
        None, description="Only tasks of this batch."
    )
    cause: Annotated[Annotated[str, Field(pattern=f"^{CAUSE_KEY}$")] | None, OPTIONAL] = Field(
        None, description="Only tasks that failed for this cause: the `key` of one of a batch's `errors`."
    )


_TASKS = array_response({"$ref": "#/components/schemas/Task"})


@tasks.post(
    "/",
    summary="Create tasks",
    openapi_extensions={"requestBody": batch_body(TasksIn, tasks), **takes_key(is_revocable=False)},
    responses={201: CreatedOut, **problem_responses(400, 403, 404, 409, 413, 415, 422, 429, 503)},
)
@needs(Scope.TASKS_WRITE)
def create_tasks() -> Response:
    key = idempotency_key(request)
    batch = json_body(TasksIn)
    if batch.priority:
        require(principal(), Scope.TASKS_PRIORITY)
    if batch.callback_url is not None:
        require(principal(), Scope.WEBHOOKS)
    created = svcs.flask.get(TaskService).create(
        principal(),
        NewBatch(
            file_ids=batch.file_ids,
            algorithm=batch.algorithm,
            params=batch.params,
            preset=batch.preset,
            priority=batch.priority,
            cache=batch.cache,
            callback_url=None if batch.callback_url is None else str(batch.callback_url),
            expires_in=batch.expires_in,
        ),
        key,
    )
    body = json.dumps({"task_ids": list(created.task_ids), "batch_id": created.batch_id})
    return Response(body, 201, mimetype="application/json")


@tasks.get("/", summary="List tasks", responses={200: _TASKS, **problem_responses(414, 422)})
@needs(Scope.TASKS_READ)
def list_tasks(query: TaskQuery) -> Response:
    wanted = TaskFilter(
        query.id or (), query.status or (), query.algorithm or (), query.source_id or (), query.batch_id, query.cause
    )
    service = svcs.flask.get(TaskService)
    page = partial(service.page, principal(), wanted=wanted, newest_first=query.sort == "-id")
    # Read the language now, because a stream is written after the request context has ended.
    as_json = partial(_as_json, language=preferred_language())
    return list_response(page, lambda task: task.id, as_json, query, f"{request.script_root}/", TASKS_PER_READ)


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
        "params": task.params if task.batch is None else task.batch.params,
    }
    if task.status == TaskStatus.ERROR:
        document["error"] = task.error
        document["problem"] = problem_document(task.error_problem, language)
    if task.priority:
        document["priority"] = task.priority
    return document | {
        "batch_id": task.batch_id,
        "preset": None if task.batch is None else task.batch.preset,
        "source_name": task.source_name + task.source_extension,
        "attempt": task.attempt,
        "created_at": http_date(task.created_at),
        "started_at": date_or_none(task.started_at),
        "ended_at": date_or_none(task.ended_at),
    }
