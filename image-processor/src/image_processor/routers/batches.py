"""The endpoints of batches."""

from functools import partial
from typing import Literal

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, RootModel
from service_kit.access.flask_gate import needs, principal
from service_kit.access.principals import Scope
from service_kit.api import preferred_language, problem_responses
from service_kit.database import MAX_ID
from service_kit.languages import Language, translated
from service_kit.paging import PageQuery, list_response
from werkzeug.http import http_date

from image_processor.models import TaskStatus
from image_processor.routers.tasks import TaskProblemOut
from image_processor.routers.times import date_or_none
from image_processor.services.causes import problem_document
from image_processor.services.tasks.batches import BatchDetail, BatchRow, BatchService, ErrorGroup
from image_processor.services.tasks.bulk import BulkService

batches = APIBlueprint("batches", __name__, abp_tags=[Tag(name="tasks")])


class CountsOut(BaseModel):
    """The number of tasks in each state, without those that were deleted."""

    model_config = ConfigDict(title="Counts")

    pending: int
    processing: int
    finished: int
    error: int
    cancelled: int


class BatchOut(BaseModel):
    """A batch: the same algorithm on many files."""

    model_config = ConfigDict(title="Batch")

    id: int
    status: Literal["running", "ended"]
    algorithm: str
    params: dict[str, object] | None
    preset: str | None
    priority: int
    cache: bool
    expires_in: int | None = Field(description="Seconds after which a result is deleted.")
    tasks: int = Field(description="The number of tasks that were created: the sum of `counts` and `forgotten`.")
    counts: CountsOut
    forgotten: int = Field(description="The number of tasks that were deleted.")
    created_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7), like all times.")


class CauseOut(BaseModel):
    """Errors that differ only in their values, with an example."""

    model_config = ConfigDict(title="Cause")

    cause: str = Field(description="The message, with … in place of each value.")
    type: str | None = Field(
        description="The type of the problems, as a URN; null for tasks that ended before tasks had problems."
    )
    key: str = Field(description="Selects the tasks with such an error in the list of tasks, as `cause`.")
    tasks: int = Field(description="The number of tasks that ended with such an error.")
    task_id: int = Field(description="The id of the first of these tasks.")
    error: str = Field(description="The error of that task, in English.")
    problem: TaskProblemOut | None = Field(description="The problem of that task; null if `type` is null.")


class BatchDetailOut(BatchOut):
    """A batch with its progress."""

    model_config = ConfigDict(title="BatchDetail")

    started_at: str | None = Field(description="When the earliest of the tasks' latest attempts began.")
    ended_at: str | None = Field(description="When the last task ended; null until all tasks have ended.")
    rate: float = Field(
        description="Tasks finished or failed per second, in the last minute, or in total if the batch has ended; 0 if "
        "tasks of an ended batch were deleted, because the rate is then unknown."
    )
    seconds_left: int | None = Field(
        description="The remaining time at this rate; null if no task ended in the last minute."
    )
    errors: list[CauseOut] = Field(description="The errors by cause, the most frequent first; at most 50.")


class ForgottenOut(BaseModel):
    """How many tasks were deleted, and how many are left."""

    forgotten: int
    left: int = Field(description="The number of tasks that were not deleted: those that had not ended.")
    more: bool = Field(
        description="Whether the request ended early, after 10,000 tasks or 20 seconds; repeat it to delete the rest."
    )


class BatchPath(BaseModel):
    id: int = Field(description="The batch's id.")


class BatchQuery(PageQuery[int]):
    """A page of the list of batches."""

    limit: int | None = Field(
        20, ge=1, le=100, description="The maximum number of batches; the header Link has the next page."
    )
    after: int = Field(
        0, ge=0, le=MAX_ID, description="Only batches after the batch with this id, in the order of `sort`."
    )
    sort: Literal["id", "-id"] = Field("-id", description="`-id`: the newest first; `id`: the oldest first.")


class BatchesOut(RootModel[list[BatchOut]]):
    """A page of batches."""


@batches.get("/batches", summary="List batches", responses={200: BatchesOut, **problem_responses(422)})
@needs(Scope.TASKS_READ)
def list_batches(query: BatchQuery) -> Response:
    service = svcs.flask.get(BatchService)
    page = partial(service.page, principal(), newest_first=query.sort == "-id")
    return list_response(page, lambda row: row.batch.id, _as_json, query, f"{request.script_root}/batches")


@batches.get(
    "/batches/<int:id>",
    summary="Get a batch with its progress and errors",
    responses={200: BatchDetailOut, **problem_responses(404)},
)
@needs(Scope.TASKS_READ)
def get_batch(path: BatchPath) -> dict[str, object]:
    return _detail_as_json(svcs.flask.get(BatchService).get(principal(), path.id), preferred_language())


@batches.delete(
    "/batches/<int:id>",
    summary="Delete the tasks of a batch that have ended",
    description="The batch is deleted with its last task. Files are kept.",
    responses={200: ForgottenOut, **problem_responses(404)},
)
@needs(Scope.TASKS_WRITE)
def delete_batch(path: BatchPath) -> dict[str, object]:
    return svcs.flask.get(BulkService).forget_batch(principal(), path.id)._asdict()


def _as_json(row: BatchRow) -> dict[str, object]:
    batch = row.batch
    return {
        "id": batch.id,
        "status": "running" if row.unended else "ended",
        "algorithm": batch.algorithm,
        "params": batch.params,
        "preset": batch.preset,
        "priority": batch.priority,
        "cache": batch.cache,
        "expires_in": batch.expires_in,
        "tasks": batch.tasks,
        "counts": {status.value: row.counts[status] for status in TaskStatus},
        "forgotten": row.forgotten,
        "created_at": http_date(batch.created_at),
    }


def _detail_as_json(detail: BatchDetail, language: Language) -> dict[str, object]:
    return _as_json(detail.row) | {
        "started_at": date_or_none(detail.progress.started_at),
        "ended_at": date_or_none(detail.progress.ended_at),
        "rate": round(detail.progress.rate, 3),
        "seconds_left": detail.progress.seconds_left,
        "errors": [_cause_as_json(cause, detail.row.batch.id, language) for cause in detail.causes],
    }


def _cause_as_json(cause: ErrorGroup, batch_id: int, language: Language) -> dict[str, object]:
    return {
        "cause": translated(cause.cause, language),
        "type": cause.type,
        "key": cause.key_in(batch_id),
        "tasks": cause.tasks,
        "task_id": cause.example.task_id,
        "error": cause.example.error,
        "problem": problem_document(cause.example.problem, language),
    }
