"""Prometheus metrics of waiting and failed work."""

from collections.abc import Iterator
from typing import TypeVar

from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from service_kit.database import Database, epoch_now
from sqlalchemy import ColumnElement, ScalarSelect, func, literal, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from image_processor.models import Callback, Task, TaskStatus
from image_processor.models.task import PRIORITIES
from image_processor.services.tasks.ended import tasks_by_status

_Value = TypeVar("_Value")

MAX_WEBHOOKS = 10_000
"""Counting stops here, to limit the cost of a scrape."""

# The order of the index of pending tasks.
_IN_ORDER = (Task.priority.desc(), Task.owner, Task.id)


def _first(column: InstrumentedAttribute[_Value], *conditions: ColumnElement[bool]) -> ScalarSelect[_Value]:
    pending = select(column).where(Task.status == TaskStatus.PENDING, *conditions)
    return pending.order_by(*_IN_ORDER).limit(1).correlate_except(Task).scalar_subquery()


# A loose index scan: each step finds the next owner with a pending task of this priority.
_PRIORITIES = union_all(*(select(literal(priority).label("priority")) for priority in PRIORITIES)).subquery()
_FIRST_OWNERS = select(
    _PRIORITIES.c.priority, _first(Task.owner, Task.priority == _PRIORITIES.c.priority).label("owner")
).cte("waiting", recursive=True)
_WAITING_OWNERS = _FIRST_OWNERS.union_all(
    select(
        _FIRST_OWNERS.c.priority,
        _first(Task.owner, Task.priority == _FIRST_OWNERS.c.priority, Task.owner > _FIRST_OWNERS.c.owner),
    ).where(_FIRST_OWNERS.c.owner.is_not(None))
)
# Ids grow with time, so an owner's first index entry is the owner's oldest task.
_OLDEST = (
    select(
        _first(
            Task.created_at,
            Task.priority == _WAITING_OWNERS.c.priority,
            # With an equality, PostgreSQL sorts by id alone and may read the primary key through all ended tasks.
            Task.owner.between(_WAITING_OWNERS.c.owner, _WAITING_OWNERS.c.owner),
        ).label("created_at")
    )
    # Correlate with each owner: otherwise only the first owner of the highest priority would be considered.
    .select_from(_WAITING_OWNERS)
    .subquery()
)
OLDEST_PENDING_SECONDS = select(epoch_now() - func.min(_OLDEST.c.created_at))
_CALLBACKS = select(func.count()).select_from(
    select(Callback.id).order_by(Callback.due_at).limit(MAX_WEBHOOKS).subquery()
)


class TaskMetrics(Collector):
    """Queries the database at each scrape."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        tasks = GaugeMetricFamily("pixmill_tasks", "Tasks in this status.", labels=["status"])
        with self._database.read() as session:
            for status, count in tasks_by_status(session, None).items():
                tasks.add_metric([status], count)
            waiting = session.execute(OLDEST_PENDING_SECONDS).scalar_one()
            callbacks = session.execute(_CALLBACKS).scalar_one()
        yield tasks
        yield GaugeMetricFamily(
            "pixmill_oldest_pending_task_seconds",
            "Age of the oldest pending task.",
            max(0.0, waiting or 0.0),
        )
        yield GaugeMetricFamily("pixmill_webhooks", f"Undelivered webhooks, at most {MAX_WEBHOOKS}.", callbacks)
