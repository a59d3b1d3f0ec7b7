"""How much work waits and fails, for an operator's monitoring."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from service_kit.database import Database, epoch_now
from sqlalchemy import func, select

from image_processor.models import Callback, Task

COUNTED = ("pending", "processing", "error", "cancelled")
"""Of finished tasks there may be millions, and no index that has only them."""

_WAITING = select(epoch_now() - func.min(Task.created_at)).where(Task.status == "pending")
_CALLBACKS = select(func.count()).select_from(Callback)


class TaskMetrics(Collector):
    """What the database says when it is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        tasks = GaugeMetricFamily("pixmill_tasks", "Tasks in this status.", labels=["status"])
        with self._database.read() as session:
            for status in COUNTED:
                count = select(func.count()).select_from(Task).where(Task.status == status)
                tasks.add_metric([status], session.scalars(count).one())
            waiting = session.scalars(_WAITING).one()
            callbacks = session.scalars(_CALLBACKS).one()
        yield tasks
        yield GaugeMetricFamily(
            "pixmill_oldest_pending_task_seconds",
            "Since when the oldest pending task is there.",
            max(0.0, waiting or 0.0),
        )
        yield GaugeMetricFamily("pixmill_webhooks", "Webhooks that are still to be delivered.", callbacks)
