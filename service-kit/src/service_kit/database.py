"""Access to PostgreSQL and SQLite: one engine per process, and SQL functions for both dialects."""

import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Integer,
    Select,
    bindparam,
    column,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import InvalidatePoolError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, PoolProxiedConnection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement, GenericFunction
from sqlalchemy.types import Double

Id = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit primary key; SQLite generates values only for INTEGER keys."""

MAX_ID = 2**63 - 1

PREPARED_STATEMENTS = "prepared_statements"
"""Our own parameter in a PostgreSQL URL: ``off`` behind a pooler that shares connections."""

_POSTGRESQL = {
    "connect_timeout": 3,
    # Detect a dead server or network within seconds; TCP's defaults take a quarter of an hour. The user timeout
    # (milliseconds) covers sent data, the probes cover waiting for data.
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


class epoch_now(GenericFunction[float]):  # noqa: N801 (named as SQL functions are)
    """The database's clock: seconds since 1970-01-01 UTC, to the millisecond or better.

    All machines use this clock, so a worker with a wrong clock cannot break a lease.
    """

    type = Double()
    inherit_cache = True


@compiles(epoch_now, "postgresql")
def _epoch_now_postgresql(_element: epoch_now, _compiler: SQLCompiler, **_options: object) -> str:
    # This value is constant within a statement, so comparisons can use an index; clock_timestamp() is volatile.
    return "extract(epoch from statement_timestamp())::double precision"


@compiles(epoch_now, "sqlite")
def _epoch_now_sqlite(_element: epoch_now, _compiler: SQLCompiler, **_options: object) -> str:
    # unixepoch('subsec') needs SQLite 3.42; Debian 12 has an older one.
    return "((julianday('now') - 2440587.5) * 86400.0)"


class oldest_running_transaction(GenericFunction[int]):  # noqa: N801 (named as SQL functions are)
    """The id of the oldest transaction that may still write here: no row of an older transaction can appear anymore.

    On PostgreSQL all databases share one transaction counter; transactions known to be in another database do not
    count.

    SQLite runs one writing transaction at a time, so all visible rows count.
    """

    type = BigInteger()
    inherit_cache = True


@compiles(oldest_running_transaction, "postgresql")
def _oldest_running_postgresql(_element: object, _compiler: SQLCompiler, **_options: object) -> str:
    # A transaction without a visible lock has just begun, just ended or is prepared, so it counts.
    return """(
        SELECT coalesce(min(running.id::text::bigint), pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
        FROM pg_snapshot_xip(pg_current_snapshot()) AS running(id)
        WHERE NOT EXISTS (
            SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
            WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
              AND transactionid = running.id::xid AND datname <> current_database()
        )
    )"""


@compiles(oldest_running_transaction, "sqlite")
def _oldest_running_sqlite(_element: object, _compiler: SQLCompiler, **_options: object) -> str:
    return str(MAX_ID)


class oldest_transaction(GenericFunction[int]):  # noqa: N801 (named as SQL functions are)
    """The id of the oldest transaction that has written and not ended, in any database of the server; quick to read.

    SQLite runs one writing transaction at a time, so there it is always the next one.
    """

    type = BigInteger()
    inherit_cache = True


@compiles(oldest_transaction, "postgresql")
def _oldest_transaction_postgresql(_element: object, _compiler: SQLCompiler, **_options: object) -> str:
    return "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


class own_transaction(GenericFunction[int]):  # noqa: N801 (named as SQL functions are)
    """The id of this transaction, which it gets now if it has none.

    It is greater than the ids of all transactions that wrote before this one began. (The end of a snapshot,
    ``pg_snapshot_xmax``, is not: it only follows the last transaction that has ended.) SQLite has no such ids: 0.
    """

    type = BigInteger()
    inherit_cache = True


@compiles(own_transaction, "postgresql")
def _own_transaction_postgresql(_element: object, _compiler: SQLCompiler, **_options: object) -> str:
    return "pg_current_xact_id()::text::bigint"


@compiles(oldest_transaction, "sqlite")
@compiles(own_transaction, "sqlite")
def _transaction_sqlite(_element: object, _compiler: SQLCompiler, **_options: object) -> str:
    return "0"


class one_at_a_time(GenericFunction[None]):  # noqa: N801 (named as SQL functions are)
    """Hold the advisory lock with this number until the transaction ends.

    SQLite needs no lock: it runs one writing transaction at a time.
    """

    inherit_cache = True


@compiles(one_at_a_time, "postgresql")
def _one_at_a_time_postgresql(element: one_at_a_time, compiler: SQLCompiler, **options: object) -> str:
    return f"pg_advisory_xact_lock({compiler.process(element.clauses, **options)})"


@compiles(one_at_a_time, "sqlite")
def _one_at_a_time_sqlite(_element: one_at_a_time, _compiler: SQLCompiler, **_options: object) -> str:
    return "NULL"


def each_of(parameter: str) -> ColumnElement[object]:
    """Return the elements of the JSON array in this parameter as rows, in the same order.

    Pass many rows as one JSON parameter: binding 100,000 separately is slower than the statement itself.
    """
    return json_elements(bindparam(parameter, type_=JSON)).table_valued(column("value", JSON)).c.value


class json_elements(FunctionElement[object]):  # noqa: N801 (named as SQL functions are)
    """The elements of a JSON array as rows with a column ``value``."""

    name = "json_elements"
    inherit_cache = True


@compiles(json_elements, "postgresql")
def _json_elements_postgresql(element: json_elements, compiler: SQLCompiler, **options: object) -> str:
    return f"json_array_elements({compiler.process(element.clauses, **options)})"


@compiles(json_elements, "sqlite")
def _json_elements_sqlite(element: json_elements, compiler: SQLCompiler, **options: object) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


class QuickReadError(Exception):
    """A query through the driver failed; repeating it through SQLAlchemy reveals the reason and repairs the pool."""


class FrequentQuery:
    """A query so frequent that it bypasses SQLAlchemy's execution, which costs several times as much.

    :param statement: selects columns of plain types; the caller passes a value for each of its parameters.
    """

    def __init__(self, statement: Select[*tuple[object, ...]]) -> None:
        self.statement = statement
        self._compiled: dict[str, tuple[str, Sequence[str] | None]] = {}

    def compiled_for(self, dialect: Dialect) -> tuple[str, Sequence[str] | None]:
        """Return the SQL text, and the order of the parameters if the dialect uses positional ones."""
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = self.statement.compile(dialect=dialect)
            order = compiled.positiontup if isinstance(compiled, SQLCompiler) and compiled.positional else None
            found = self._compiled[dialect.name] = str(compiled), order
        return found


class Database:
    """Opens sessions and connections to one database; each takes a connection from the pool until its block ends.

    Two questions choose the method: whether the block writes, and whether it uses the ORM.

    - :meth:`read` and :meth:`connect` are for reading. SQLite loses what a block writes; on PostgreSQL each statement
      commits it, because a read takes no BEGIN there and each statement sees the newest rows.
    - :meth:`write` and :meth:`begin` open one transaction. The end of the block commits it, an exception rolls it back.
      On SQLite it waits at its beginning until no other transaction is writing.

    :meth:`read` and :meth:`write` open a session of the ORM; :meth:`connect` and :meth:`begin` open a connection, which
    costs less: a session takes more time than a short statement.

    :param pool_size: maximum number of connections to PostgreSQL. A thread waits for one for at most 30 seconds; then
        ``sqlalchemy.exc.TimeoutError``. With 0, each transaction on SQLite opens a connection.
    """

    def __init__(self, url: str, pool_size: int = 10) -> None:
        self.engine = create_engine_for(url, pool_size)
        self._reader = _reading(self.engine)
        self._writer = self.engine.execution_options(sqlite_begin="IMMEDIATE")

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a connection for reading, without a transaction: two statements may see different rows."""
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a connection with a transaction: leaving the block commits it, an exception rolls it back."""
        with self._writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session for reading, without a transaction, as :meth:`connect`; its objects stay usable afterwards."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session with a transaction, as :meth:`begin`; its objects stay usable afterwards."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def first_row(self, query: FrequentQuery, parameters: Mapping[str, object]) -> Sequence[object] | None:
        """Return the first row of a query through the driver, or ``None`` if there is no row.

        :raises QuickReadError: the database does not answer.
        """
        text, order = query.compiled_for(self.engine.dialect)
        values = [parameters[name] for name in order] if order is not None else parameters
        try:
            connection = self.engine.raw_connection()
        except (SQLAlchemyError, self.engine.dialect.loaded_dbapi.Error) as error:
            raise QuickReadError from error
        try:
            row = _first_row(connection, text, values)
        except self.engine.dialect.loaded_dbapi.Error as error:
            connection.invalidate(error)
            raise QuickReadError from error
        finally:
            connection.close()
        return row

    def ping(self) -> None:
        """Raise an error if the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))


def _first_row(
    connection: PoolProxiedConnection, text: str, parameters: Sequence[object] | Mapping[str, object]
) -> Sequence[object] | None:
    driver = connection.driver_connection
    if isinstance(driver, psycopg.Connection):
        # The same as in _reading.
        driver.autocommit = True
        try:
            return driver.execute(text.encode(), parameters).fetchone()
        finally:
            driver.autocommit = False
    cursor = connection.cursor()
    cursor.execute(text, parameters)
    row = cursor.fetchone()
    cursor.close()
    return row


def dialect_of(connection: Connection) -> str:
    """Return ``postgresql`` or ``sqlite``."""
    return connection.dialect.name


def insert_or_update(dialect: str, model: type[object]) -> "postgresql.Insert | sqlite.Insert":
    """Return an INSERT that supports ``on_conflict_do_update``."""
    return postgresql.insert(model) if dialect == "postgresql" else sqlite.insert(model)


def insert_or_ignore(dialect: str, model: type[object]) -> "postgresql.Insert | sqlite.Insert":
    """Return an INSERT that leaves an existing row unchanged."""
    return insert_or_update(dialect, model).on_conflict_do_nothing()


def create_engine_for(url: str, pool_size: int) -> Engine:
    """Return an engine whose errors hide the values of statements, such as URLs: errors are logged."""
    if url.startswith("sqlite"):
        pool: dict[str, object] = {"pool_size": pool_size} if pool_size else {"poolclass": NullPool}
        engine = create_engine(url, connect_args={"timeout": 30}, hide_parameters=True, **pool)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    address = make_url(url)
    arguments: dict[str, object] = dict(_POSTGRESQL)
    if address.query.get(PREPARED_STATEMENTS) == "off":
        # psycopg's setting accepts no string, so it cannot be part of the URL.
        arguments["prepare_threshold"] = None
    address = address.difference_update_query([PREPARED_STATEMENTS])
    engine = create_engine(address, pool_size=pool_size, max_overflow=0, connect_args=arguments, hide_parameters=True)
    event.listen(engine, "checkout", _refuse_if_ended)
    event.listen(engine, "handle_error", _leave_standby)
    return engine


def _reading(engine: Engine) -> Engine:
    # Without BEGIN and ROLLBACK, a read takes one round trip instead of three.
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="AUTOCOMMIT")
    return engine


def _refuse_if_ended(connection: DBAPIConnection, _entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
    # PostgreSQL sends something to an idle connection only when it closes it, so pending input means that it is closed.
    # Polling the socket saves the round trip of a SELECT 1.
    if not isinstance(connection, psycopg.Connection):
        return
    if connection.closed or _has_input(connection.fileno()):
        raise InvalidatePoolError


def _leave_standby(context: ExceptionContext) -> None:
    # The server has become a standby, or the address led to one: new connections may find the primary.
    if isinstance(context.original_exception, psycopg.errors.ReadOnlySqlTransaction):
        context.is_disconnect = True


def _has_input(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver would begin the transaction too late for BEGIN IMMEDIATE; _begin_sqlite does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', 'DEFERRED')}")
