"""Webhooks that tell of ended tasks: what is to be delivered, and what became of it."""

import json
from collections.abc import Sequence

import structlog
from service_kit.database import Database, epoch_now
from sqlalchemy import delete, select, update

from image_processor.models import Callback, TaskStatus

log = structlog.get_logger()

LONGEST_TIMEOUTS = 5
"""A delivery takes no longer than so many timeouts: to get a connection, connect, write, and read in two pieces."""
BASE_DELAY_SECONDS = 2
MAX_DELAY_SECONDS = 3600


_DUE = Callback.due_at <= epoch_now()
_FIRST_DUE = select(Callback.id).where(_DUE).order_by(Callback.due_at).limit(1)


class WebhookService:
    """The rows of deliveries that are due.

    :param timeout_seconds: how long a delivery may take; then another worker may try.
    :param max_seconds: how long an undeliverable webhook is tried.
    """

    def __init__(self, database: Database, timeout_seconds: float, max_seconds: float) -> None:
        self._database = database
        self._taken_seconds = LONGEST_TIMEOUTS * timeout_seconds
        self._max_seconds = max_seconds

    def take_due(self, count: int) -> Sequence[Callback]:
        """At most ``count`` deliveries that are due, taken from other workers for as long as one may take."""
        with self._database.connect() as connection:
            if connection.execute(_FIRST_DUE).first() is None:
                return []
        with self._database.write() as session:
            taken = session.scalars(
                select(Callback).where(_DUE).order_by(Callback.due_at).limit(count).with_for_update(skip_locked=True)
            ).all()
            again = epoch_now() + self._taken_seconds
            ids = [callback.id for callback in taken]
            session.execute(update(Callback).where(Callback.id.in_(ids)).values(due_at=again, tries=Callback.tries + 1))
            return taken

    def delivered(self, callback: Callback) -> None:
        """The receiver has it."""
        self._forget(callback)
        log.info("callback delivered", task_id=callback.task_id, url=callback.url)

    def undeliverable(self, callback: Callback, reason: str) -> None:
        """It will never be delivered."""
        self._forget(callback)
        log.error("callback given up", task_id=callback.task_id, url=callback.url, reason=reason)

    def failed(self, callback: Callback, reason: str) -> None:
        """Tries again later, with exponentially growing delays, until the time for it is over."""
        delay = min(MAX_DELAY_SECONDS, BASE_DELAY_SECONDS * 2 ** min(callback.tries, 20))
        log.warning("callback failed", task_id=callback.task_id, url=callback.url, reason=reason, delay_seconds=delay)
        with self._database.write() as session:
            late = Callback.created_at < epoch_now() - self._max_seconds
            gone = session.execute(delete(Callback).where(Callback.id == callback.id, late).returning(Callback.id))
            if gone.first() is None:
                again = update(Callback).where(Callback.id == callback.id).values(due_at=epoch_now() + delay)
                session.execute(again)

    def reset_delays(self) -> None:
        """Makes due what would wait longer than a delivery takes: the database's clock has been set."""
        late = Callback.due_at > epoch_now() + self._taken_seconds
        with self._database.write() as session:
            session.execute(update(Callback).where(late).values(due_at=0.0))

    def _forget(self, callback: Callback) -> None:
        with self._database.write() as session:
            session.execute(delete(Callback).where(Callback.id == callback.id))


def payload(callback: Callback) -> bytes:
    """The JSON body of a webhook."""
    task: dict[str, object] = {"id": callback.task_id, "status": callback.status, "result_id": callback.result_id}
    if callback.status == TaskStatus.ERROR:
        task["error"] = callback.error
    return json.dumps({"type": f"task.{callback.status}", "task": task}, ensure_ascii=False).encode()
