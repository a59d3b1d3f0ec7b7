"""Metrics of waiting and failed work, for monitoring."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from service_kit.database import Database, epoch_now
from sqlalchemy import Select, func, select, union_all

from image_processor.models import Callback, Task, TaskStatus
from image_processor.models.task import PRIORITIES

COUNTED = (TaskStatus.PENDING, TaskStatus.PROCESSING, TaskStatus.ERROR, TaskStatus.CANCELLED)
"""The states with a partial index; there may be millions of finished tasks, which have none."""
MAX_COUNTED = 100_000
"""Counting stops here, so that the cost of a scrape is limited."""

_INDEXED_BY = {TaskStatus.PENDING: (Task.priority.desc(), Task.id), TaskStatus.PROCESSING: (Task.lease_until,)}

# The first index entry of each priority is the oldest, because ids grow with time.
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
    select(Callback.id).order_by(Callback.due_at).limit(MAX_COUNTED).subquery()
)


def _count(status: TaskStatus) -> Select[int]:
    # In the order of the index for this status, so that the planner uses it.
    ordered = _INDEXED_BY.get(status, (Task.id,))
    matching = select(Task.id).where(Task.status == status).order_by(*ordered).limit(MAX_COUNTED)
    return select(func.count()).select_from(matching.subquery())


class TaskMetrics(Collector):
    """Queries the database at each scrape."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        tasks = GaugeMetricFamily("pixmill_tasks", f"Tasks in this status, at most {MAX_COUNTED}.", labels=["status"])
        with self._database.read() as session:
            for status in COUNTED:
                tasks.add_metric([status], session.execute(_count(status)).scalar_one())
            waiting = session.execute(_WAITING).scalar_one()
            callbacks = session.execute(_CALLBACKS).scalar_one()
        yield tasks
        yield GaugeMetricFamily(
            "pixmill_oldest_pending_task_seconds",
            "Age of the oldest pending task.",
            max(0.0, waiting or 0.0),
        )
        yield GaugeMetricFamily("pixmill_webhooks", f"Undelivered webhooks, at most {MAX_COUNTED}.", callbacks)
