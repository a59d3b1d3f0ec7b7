"""The endpoint of task statistics for the web page."""

import svcs
from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field
from service_kit import __version__
from service_kit.access.flask_gate import needs, principal
from service_kit.access.principals import Scope
from service_kit.api import problem_responses

from image_processor.services.tasks.ended import DAYS
from image_processor.services.tasks.stats import TaskStats

stats = APIBlueprint("stats", __name__, abp_tags=[Tag(name="tasks")])


class TaskCountsOut(BaseModel):
    """Tasks, by status."""

    pending: int
    processing: int
    error: int
    cancelled: int
    finished: int


class EndedOut(BaseModel):
    """Tasks that ended within the last minute, by status."""

    finished: int
    error: int
    cancelled: int


class DayOut(BaseModel):
    """Tasks that ended on one day, by status, including those that were restarted or deleted since."""

    day: str = Field(description="The day in UTC.", examples=["2026-11-29"])
    finished: int
    error: int
    cancelled: int


class WorkerOut(BaseModel):
    """A running worker."""

    name: str
    processes: int = Field(description="The number of its running processes.")
    tasks: int = Field(description="The number of tasks that it holds.")


class StatsOut(BaseModel):
    """Numbers of tasks."""

    version: str = Field(description="The version of Pixmill.")
    owner: str = Field(description="The owner that sent the request.")
    all_owners: bool = Field(description="Whether the numbers cover all owners, as for a key with `admin`.")
    tasks: TaskCountsOut = Field(description="Tasks that have not been deleted.")
    oldest_pending_seconds: float | None = Field(
        description="How long the oldest pending task has waited; null if none is pending."
    )
    last_minute: EndedOut
    by_day: list[DayOut] = Field(description=f"The last {DAYS} days, with today, the earliest first.")
    workers: list[WorkerOut] | None = Field(
        None, description="The running workers; present only if the numbers cover all owners."
    )


@stats.get("/stats", summary="Get numbers of tasks", responses={200: StatsOut, **problem_responses(422)})
@needs(Scope.TASKS_READ)
def show_stats() -> Response:
    who = principal()
    numbers = svcs.flask.get(TaskStats).of(who)
    workers = numbers.workers
    answer = StatsOut(
        version=__version__,
        owner=who.owner,
        all_owners=who.sees_all,
        tasks=TaskCountsOut(**{status.value: count for status, count in numbers.tasks.items()}),
        oldest_pending_seconds=numbers.oldest_pending_seconds,
        last_minute=EndedOut(**{status.value: count for status, count in numbers.ended.items()}),
        by_day=[
            DayOut(day=day.day, **{status.value: count for status, count in day.tasks.items()}) for day in numbers.days
        ],
        workers=None
        if workers is None
        else [WorkerOut(name=worker.name, processes=worker.processes, tasks=worker.tasks) for worker in workers],
    )
    # Null is a valid age, but not a valid list of workers.
    body = answer.model_dump_json(exclude={"workers"} if workers is None else None)
    response = Response(body, mimetype="application/json")
    response.headers["Cache-Control"] = "private, max-age=1"
    return response
