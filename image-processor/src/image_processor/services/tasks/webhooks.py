"""Webhooks of ended tasks: take those that are due, and record the outcomes of deliveries."""

import json
from collections.abc import Sequence

import structlog
from service_kit.database import Database, epoch_now
from sqlalchemy import delete, select, update

from image_processor.models import Callback, TaskStatus

log = structlog.get_logger()

MAX_TIMEOUTS = 5
"""The timeouts of one delivery, at most: to get a connection, connect, write, and read twice."""
BASE_DELAY_SECONDS = 2
"""Base of the exponential delay between retries."""
MAX_DELAY_SECONDS = 3600
"""Between two retries, at most."""


_DUE = Callback.due_at <= epoch_now()
_FIRST_DUE = select(Callback.id).where(_DUE).order_by(Callback.due_at).limit(1)


class WebhookService:
    """Reads and changes the rows of undelivered webhooks.

    :param timeout_seconds: of each step of a delivery.
    :param max_seconds: after which a webhook is no longer retried.
    """

    def __init__(self, database: Database, timeout_seconds: float, max_seconds: float) -> None:
        self._database = database
        self._reserved_seconds = MAX_TIMEOUTS * timeout_seconds
        self._max_seconds = max_seconds

    def take_due(self, count: int) -> Sequence[Callback]:
        """Return at most ``count`` webhooks that are due, reserved for the longest time that a delivery may take."""
        with self._database.connect() as connection:
            if connection.execute(_FIRST_DUE).first() is None:
                return []
        with self._database.write() as session:
            taken = session.scalars(
                select(Callback).where(_DUE).order_by(Callback.due_at).limit(count).with_for_update(skip_locked=True)
            ).all()
            reserved_until = epoch_now() + self._reserved_seconds
            ids = [callback.id for callback in taken]
            session.execute(
                update(Callback).where(Callback.id.in_(ids)).values(due_at=reserved_until, tries=Callback.tries + 1)
            )
            return taken

    def delivered(self, callback: Callback) -> None:
        """Delete a webhook that the receiver has accepted."""
        self._delete(callback)
        log.info("callback delivered", task_id=callback.task_id, url=callback.url)

    def undeliverable(self, callback: Callback, reason: str) -> None:
        """Delete a webhook that can never be delivered."""
        self._delete(callback)
        log.error("callback given up", task_id=callback.task_id, url=callback.url, reason=reason)

    def failed(self, callback: Callback, reason: str) -> None:
        """Schedule a retry with an exponentially growing delay, or delete the webhook when its time is over."""
        delay = min(MAX_DELAY_SECONDS, BASE_DELAY_SECONDS * 2 ** min(callback.tries, 20))
        log.warning("callback failed", task_id=callback.task_id, url=callback.url, reason=reason, delay_seconds=delay)
        with self._database.write() as session:
            is_over = Callback.created_at < epoch_now() - self._max_seconds
            deleted = session.execute(
                delete(Callback).where(Callback.id == callback.id, is_over).returning(Callback.id)
            )
            if deleted.first() is None:
                retry = update(Callback).where(Callback.id == callback.id).values(due_at=epoch_now() + delay)
                session.execute(retry)

    def reset_delays(self) -> None:
        """Make webhooks due that would wait for longer than a delivery takes, after the database's clock was set."""
        late = Callback.due_at > epoch_now() + self._reserved_seconds
        with self._database.write() as session:
            session.execute(update(Callback).where(late).values(due_at=0.0))

    def _delete(self, callback: Callback) -> None:
        with self._database.write() as session:
            session.execute(delete(Callback).where(Callback.id == callback.id))


def payload(callback: Callback) -> bytes:
    """Return the JSON body of a webhook."""
    task: dict[str, object] = {
        "id": callback.task_id,
        "owner": callback.owner,
        "attempt": callback.attempt,
        "status": callback.status,
        "result_id": callback.result_id,
    }
    if callback.status == TaskStatus.ERROR:
        task["error"] = callback.error
    return json.dumps({"type": f"task.{callback.status}", "task": task}, ensure_ascii=False).encode()
