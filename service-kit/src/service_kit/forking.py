"""Makes SQLite safe in a process that forks while its threads use the database."""

import os
import sqlite3
import threading
from collections.abc import Callable

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from service_kit.database import Database


def fork_safe_database(url: str, pool_size: int) -> Database:
    """Return a database for a process whose children open their own connections to it.

    :param pool_size: pool size on PostgreSQL. SQLite gets no pool.
    """
    if not url.startswith("sqlite"):
        return Database(url, pool_size)
    database = Database(url, pool_size=0)
    _ForkGate(database.engine)
    return database


class _ForkGate:
    """Makes a fork wait until no connection is open, and new connections wait until the fork is over.

    SQLite keeps in process memory which of its files it has locked. A child forked at that moment inherits this memory
    but not the lock, so the file appears locked to it forever ("How To Corrupt An SQLite Database File", 2.6).
    """

    def __init__(self, engine: Engine) -> None:
        self._changed = threading.Condition()
        self._open = 0
        self._is_forking = False
        event.listen(engine, "do_connect", self._connect)
        os.register_at_fork(before=self._before, after_in_parent=self._after, after_in_child=self._in_child)

    def _connect(
        self, dialect: Dialect, _entry: ConnectionPoolEntry, arguments: list[object], parameters: dict[str, object]
    ) -> DBAPIConnection:
        with self._changed:
            # Threads that keep opening connections would otherwise delay a fork forever.
            self._changed.wait_for(lambda: not self._is_forking)
            self._open += 1
        try:
            connection = dialect.connect(*arguments, factory=_WatchedConnection, **parameters)
        except BaseException:
            self._leave()
            raise
        if isinstance(connection, _WatchedConnection):
            connection.on_close = self._leave
        return connection

    def _leave(self) -> None:
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def _before(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_forking)
            self._is_forking = True
            self._changed.wait_for(lambda: not self._open)

    def _after(self) -> None:
        with self._changed:
            self._is_forking = False
            self._changed.notify_all()

    def _in_child(self) -> None:
        # Another thread, which exists only in the parent, may have held the condition's lock.
        self._changed = threading.Condition()
        self._is_forking = False


class _WatchedConnection(sqlite3.Connection):
    """A connection that reports when SQLite has closed it; SQLAlchemy's event comes too early."""

    on_close: Callable[[], None]

    def close(self) -> None:
        super().close()
        on_close, self.on_close = self.on_close, lambda: None
        on_close()
