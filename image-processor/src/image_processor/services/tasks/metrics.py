"""How much work waits and fails, for an operator's monitoring."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from service_kit.database import Database, epoch_now
from sqlalchemy import Select, func, select, union_all

from image_processor.models import Callback, Task, TaskStatus
from image_processor.models.task import PRIORITIES

COUNTED = (TaskStatus.PENDING, TaskStatus.PROCESSING, TaskStatus.ERROR, TaskStatus.CANCELLED)
"""The states that partial indexes serve; of finished tasks there may be millions, in no index of their own."""
MOST_COUNTED = 100_000
"""Counting ends here, so that monitoring costs the same whatever has piled up."""

_INDEXED_BY = {TaskStatus.PENDING: (Task.priority.desc(), Task.id), TaskStatus.PROCESSING: (Task.lease_until,)}

# For each priority the first of the index; ids grow with time.
_OLDEST = union_all(
    *(
        select(Task.created_at.label("created_at"))
        .where(Task.status == TaskStatus.PENDING, Task.priority == priority)
        .order_by(Task.id)
        .limit(1)
        .subquery()
        .select()
        for priority in PRIORITIES
    )
).subquery()
_WAITING = select(epoch_now() - func.min(_OLDEST.c.created_at))
_CALLBACKS = select(func.count()).select_from(
    select(Callback.id).order_by(Callback.due_at).limit(MOST_COUNTED).subquery()
)


def _count(status: TaskStatus) -> Select[int]:
    # In the order of the index that has this status.
    ordered = _INDEXED_BY.get(status, (Task.id,))
    matching = select(Task.id).where(Task.status == status).order_by(*ordered).limit(MOST_COUNTED)
    return select(func.count()).select_from(matching.subquery())


class TaskMetrics(Collector):
    """What the database says at each scrape."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        tasks = GaugeMetricFamily("pixmill_tasks", f"Tasks in this status, {MOST_COUNTED} at most.", labels=["status"])
        with self._database.read() as session:
            for status in COUNTED:
                tasks.add_metric([status], session.scalars(_count(status)).one())
            waiting = session.scalars(_WAITING).one()
            callbacks = session.scalars(_CALLBACKS).one()
        yield tasks
        yield GaugeMetricFamily(
            "pixmill_oldest_pending_task_seconds",
            "Age of the oldest pending task.",
            max(0.0, waiting or 0.0),
        )
        yield GaugeMetricFamily("pixmill_webhooks", f"Undelivered webhooks, {MOST_COUNTED} at most.", callbacks)
