"""Housekeeping: runs chores at intervals, such as deleting old events.

Each chore of a database is run by one process at a time: the first to claim it when it is due.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import structlog
from sqlalchemy import Double, String, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from service_kit.database import Database, dialect_of, epoch_now, insert_or_ignore

log = structlog.get_logger()

CLAIM_SECONDS = 30.0
"""Seconds after which another process may claim a chore whose process was killed.

A slower chore may run twice at the same time. That is safe, because chores lock or skip the rows that they change.
"""
MAX_SECONDS = 10.0
"""Seconds after which a chore starts no further step, so that other chores get their turn."""


class ChoreRow:
    """The columns of a table of chores.

    A chore is claimed by a statement and not by the lock of a session, so this works through PgBouncer.
    """

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    due_at: Mapped[float] = mapped_column(Double)
    """When the chore is due, by the database's clock; while it runs, when another process may claim it."""


class Chore(NamedTuple):
    """Work on rows or files that all processes share: one process at a time does it for all.

    :param name: the name of its row; each chore of a database has its own.
    :param run: does a limited amount of work, and returns the number of things that it has done.
    :param step: if ``run`` did this many things, there may be more, and it is called again.
    """

    name: str
    interval_seconds: float
    run: Callable[[], int]
    step: float = math.inf


class OwnChore(NamedTuple):
    """Work that each process does for itself: on data in its own memory, or on rows that it claims."""

    interval_seconds: float
    run: Callable[[], object]


class _Due(NamedTuple):
    """When a chore is due by the database's clock, and the number of seconds until then."""

    due_at: float
    left: float


class Housekeeping:
    """A thread that runs chores, first at the start and then at their intervals, one at a time.

    An interval starts when a run has returned or failed.

    :param model: the table of the chores that processes share.
    """

    def __init__(
        self, database: Database, model: type[ChoreRow], chores: Sequence[Chore], own: Sequence[OwnChore] = ()
    ) -> None:
        self._database = database
        self._model = model
        self._chores = chores
        self._own = own
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="housekeeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def run_due(self) -> float:
        """Run once the shared chores that are due; return the number of seconds until others may be."""
        # At most one interval, even if nothing is due: a process may be killed, or the database's clock may be set.
        wait = min(chore.interval_seconds for chore in self._chores)
        with _reported():
            return min(wait, self._run_shared())
        return wait

    def _loop(self) -> None:
        look_at, own_due = 0.0, [0.0] * len(self._own)
        while not self._stopped.is_set():
            if time.monotonic() >= look_at:
                look_at = self.run_due() + time.monotonic()
            for index, own in enumerate(self._own):
                if time.monotonic() >= own_due[index]:
                    with _reported():
                        own.run()
                    own_due[index] = time.monotonic() + own.interval_seconds
            self._stopped.wait(min([look_at, *own_due]) - time.monotonic())

    def _run_shared(self) -> float:
        rows = self._read()
        due = [chore for chore in self._chores if _is_due(chore, rows[chore.name].left)]
        for chore in due:
            claimed = self._set_due(chore, rows[chore.name].due_at, CLAIM_SECONDS)
            if claimed is None:
                continue
            again = chore.interval_seconds
            with _reported():
                again = self._run(chore)
            self._set_due(chore, claimed, again)
        return 0.0 if due else min(row.left for row in rows.values())

    def _run(self, chore: Chore) -> float:
        """Run a claimed chore; return the number of seconds until it is due again."""
        deadline = time.monotonic() + MAX_SECONDS
        done = latest = chore.run()
        while latest >= chore.step and time.monotonic() < deadline and not self._stopped.is_set():
            latest = chore.run()
            done += latest
        if done:
            log.info("housekeeping done", chore=chore.name, count=done)
        return 0.0 if latest >= chore.step else chore.interval_seconds

    def _read(self) -> Mapping[str, _Due]:
        """Return when each chore is due; insert the rows that are missing."""
        model, names = self._model, [chore.name for chore in self._chores]
        query = select(model.name, model.due_at, model.due_at - epoch_now()).where(model.name.in_(names))
        with self._database.connect() as connection:
            found = {name: _Due(due_at, left) for name, due_at, left in connection.execute(query)}
        if missing := [name for name in names if name not in found]:
            with self._database.begin() as connection:
                insert = insert_or_ignore(dialect_of(connection), model)
                connection.execute(insert, [{"name": name, "due_at": 0.0} for name in missing])
        return found | dict.fromkeys(missing, _Due(0.0, 0.0))

    def _set_due(self, chore: Chore, seen: float, seconds: float) -> float | None:
        """Make a chore due in ``seconds`` and return that time; ``None`` if its time is no longer ``seen``."""
        model = self._model
        change = update(model).where(model.name == chore.name, model.due_at == seen)
        with self._database.begin() as connection:
            return connection.scalar(change.values(due_at=epoch_now() + seconds).returning(model.due_at))


def _is_due(chore: Chore, left: float) -> bool:
    # No process waits this long: the database's clock was set back.
    return left <= 0 or left > 2 * max(chore.interval_seconds, CLAIM_SECONDS)


@contextmanager
def _reported() -> Iterator[None]:
    """Log an error of the block, and go on."""
    try:
        yield
    except SQLAlchemyError as error:
        log.warning("housekeeping waits for the database", error=str(error))
    except Exception:  # a chore that fails must not end the thread, and with it the other chores
        log.exception("housekeeping failed")
