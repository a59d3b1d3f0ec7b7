"""Database connections while PostgreSQL closes them."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest
from service_kit.database import Database, FrequentQuery, QuickReadError
from sqlalchemy import Integer, bindparam, column, event, func, select, table, text
from sqlalchemy.exc import DBAPIError

from tests.support.environment import ENVIRONMENT
from tests.support.folders import temporary_folder
from tests.support.processes import Process, free_port, skip_where_missing
from tests.support.servers import start_postgres

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(port: int) -> Iterator[Process]:
    folder = temporary_folder("database")
    with skip_where_missing():
        process = start_postgres(folder, port, ENVIRONMENT)
    yield process
    process.stop()


@pytest.fixture
def database(server: Process, port: int) -> Iterator[Database]:
    database = Database(f"postgresql+psycopg://pixmill@127.0.0.1:{port}/pixmill")
    yield database
    database.engine.dispose()


def backend(database: Database) -> int:
    """Return the id of the server process behind the next connection."""
    with database.read() as session:
        return int(session.execute(text("SELECT pg_backend_pid()")).scalar_one())


def test_a_connection_is_used_again(database: Database) -> None:
    assert backend(database) == backend(database)


def test_only_blocks_that_write_are_one_transaction(database: Database) -> None:
    transaction = text("SELECT pg_current_xact_id()::text")

    with database.connect() as connecting, database.begin() as beginning:
        of_connect, of_begin = ({opened.scalar(transaction) for _ in range(2)} for opened in (connecting, beginning))
    with database.read() as reading, database.write() as writing:
        of_read, of_write = ({opened.scalar(transaction) for _ in range(2)} for opened in (reading, writing))

    assert [len(ids) for ids in (of_connect, of_read, of_begin, of_write)] == [2, 2, 1, 1]


def test_threads_share_at_most_as_many_connections_as_the_setting_says(server: Process, port: int) -> None:
    database = Database(f"postgresql+psycopg://pixmill@127.0.0.1:{port}/pixmill", pool_size=2)
    opened: list[object] = []
    event.listen(database.engine, "connect", lambda connection, _record: opened.append(connection))

    with ThreadPoolExecutor(8) as threads:
        backends = set(threads.map(lambda _: backend(database), range(100)))

    assert len(opened) == len(backends) == 2
    database.engine.dispose()


def test_a_connection_that_the_server_ended_is_replaced(database: Database, port: int) -> None:
    ended = backend(database)

    with psycopg.connect(host="127.0.0.1", port=port, user="pixmill", dbname="pixmill") as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [ended])

    assert backend(database) != ended


def test_a_restart_of_the_server_causes_no_error(database: Database, server: Process, port: int) -> None:
    ended = backend(database)

    server.stop()
    server.start()
    server.wait_until(
        lambda: subprocess.run(["pg_isready", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode == 0
    )

    assert backend(database) != ended


def test_a_server_that_became_a_standby_is_left(database: Database) -> None:
    standby = backend(database)
    read_only = text("SET TRANSACTION READ ONLY")

    with pytest.raises(DBAPIError), database.begin() as connection:
        connection.execute(read_only)
        connection.execute(text("CREATE TABLE written (id int)"))

    assert backend(database) != standby


def test_prepared_statements_are_off_where_the_url_says_so(database: Database, port: int) -> None:
    pooled = Database(f"postgresql+psycopg://pixmill@127.0.0.1:{port}/pixmill?prepared_statements=off")
    count = text("SELECT count(*) FROM pg_prepared_statements")

    def prepared_by(used: Database) -> int:
        with used.read() as session:
            return max(int(session.execute(count).scalar_one()) for _ in range(20))

    assert (prepared_by(pooled), prepared_by(database)) == (0, 1)
    pooled.engine.dispose()


def test_a_frequent_query_finds_the_first_row(database: Database) -> None:
    numbers = select(func.generate_series(bindparam("least", type_=Integer), bindparam("most", type_=Integer)))
    query = FrequentQuery(numbers)
    found = [database.first_row(query, {"least": least, "most": 7}) for least in (5, 8)]
    assert found == [(5,), None]


def test_a_frequent_query_leaves_a_connection_that_opens_transactions(database: Database) -> None:
    database.first_row(FrequentQuery(select(column("1", is_literal=True))), {})

    with suppress(ZeroDivisionError), database.begin() as connection:
        connection.execute(text("CREATE TABLE undone (id int)"))
        raise ZeroDivisionError

    with database.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass('undone')")) is None


def test_a_frequent_query_says_that_it_failed(database: Database) -> None:
    with pytest.raises(QuickReadError):
        database.first_row(FrequentQuery(select(column("id")).select_from(table("missing"))), {})
    assert database.first_row(FrequentQuery(select(column("1", is_literal=True))), {}) == (1,)
