"""The roles of ``config/postgresql/roles.sh``: each service can access only its own tables."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from file_storage.models import Base as FileModels
from image_processor.models import Base as TaskModels
from psycopg.errors import InsufficientPrivilege
from service_kit.migrations import migrate

from tests.support.environment import ENVIRONMENT
from tests.support.folders import temporary_folder
from tests.support.processes import free_port, skip_where_missing
from tests.support.servers import create_roles, start_postgres

FILES = sorted([*FileModels.metadata.tables, "file_storage_version"])
TASKS = sorted([*TaskModels.metadata.tables, "image_processor_version"])
ROLES = ["file_storage", "image_processor", "worker", "webhooks", "access"]
OWNER = "SELECT tableowner FROM pg_tables WHERE schemaname = 'public' AND tablename = %s"


class Databases:
    """A PostgreSQL server with the roles, and the database URL of each role."""

    def __init__(self, folder: Path, *, with_tables: bool) -> None:
        self.port = free_port()
        self._folder = folder
        with skip_where_missing():
            self._server = start_postgres(folder, self.port, ENVIRONMENT)
        self.administrator = f"postgresql+psycopg://pixmill@127.0.0.1:{self.port}/pixmill"
        if with_tables:
            # The last revisions without roles.
            migrate(self.administrator, "file_storage", "0005")
            migrate(self.administrator, "image_processor", "0005")
        self.start_again()
        migrate(self.urls["file_storage"], "file_storage")
        migrate(self.urls["image_processor"], "image_processor")

    def start_again(self) -> None:
        """Run the steps of a docker-compose start that precede the services."""
        self.urls = create_roles(self._folder, self.port)

    def forget(self, name: str) -> None:
        """Delete a password, so that the next start generates another."""
        for path in (self._folder / "secrets").glob(f"*/{name}"):
            path.unlink()

    def run(self, role: str, statement: str, *values: str) -> list[tuple[object, ...]]:
        """Return the rows of a statement executed by a role."""
        url = self.administrator if role == "pixmill" else self.urls[role]
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """Stop the server."""
        self._server.stop()


@pytest.fixture(scope="module", params=["new", "of an earlier version"])
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """A database created with roles, or one whose tables the administrator created before the roles existed."""
    databases = Databases(temporary_folder("roles"), with_tables=request.param != "new")
    yield databases
    databases.stop()


@pytest.mark.parametrize(("role", "tables"), [("file_storage", FILES), ("image_processor", TASKS)])
def test_a_service_owns_its_tables(databases: Databases, role: str, tables: list[str]) -> None:
    assert {databases.run(role, OWNER, table)[0] for table in tables} == {(role,)}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_plans_for_the_values_of_a_statement(databases: Databases, role: str) -> None:
    assert databases.run(role, "SHOW plan_cache_mode") == [("force_custom_plan",)]


@pytest.mark.parametrize("role", ["worker", "webhooks"])
def test_a_process_without_migrations_changes_rows_of_tasks(databases: Databases, role: str) -> None:
    databases.run(role, "INSERT INTO discarded_results (key, due_at) VALUES (%s, 0)", role)
    databases.run(role, "UPDATE discarded_results SET due_at = 1 WHERE key = %s", role)

    assert databases.run(role, "SELECT due_at FROM discarded_results WHERE key = %s", role) == [(1.0,)]
    databases.run(role, "DELETE FROM discarded_results WHERE key = %s", role)


@pytest.mark.parametrize("role", ["worker", "webhooks"])
@pytest.mark.parametrize("table", TASKS)
def test_a_process_without_migrations_reads_every_table_of_tasks(databases: Databases, role: str, table: str) -> None:
    assert databases.run(role, f"SELECT count(*) FROM {table} WHERE false") == [(0,)]


@pytest.mark.parametrize("role", ["image_processor", "worker", "webhooks", "access"])
@pytest.mark.parametrize("table", FILES)
def test_only_file_storage_reaches_its_tables(databases: Databases, role: str, table: str) -> None:
    for statement in (f"SELECT * FROM {table}", f"DELETE FROM {table}", f"DROP TABLE {table}"):
        with pytest.raises(InsufficientPrivilege):
            databases.run(role, statement)


@pytest.mark.parametrize("table", TASKS)
def test_file_storage_does_not_reach_the_tables_of_tasks(databases: Databases, table: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        databases.run("file_storage", f"SELECT * FROM {table}")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
        "CREATE ROLE another",
        "CREATE DATABASE another",
        "ALTER ROLE pixmill PASSWORD 'known'",
        "SET ROLE pixmill",
    ],
)
def test_no_service_administers_the_server(databases: Databases, role: str, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        databases.run(role, statement)


@pytest.mark.parametrize("role", ["worker", "webhooks"])
@pytest.mark.parametrize("statement", ["CREATE TABLE another (id int)", "DROP TABLE tasks", "TRUNCATE tasks"])
def test_a_process_without_migrations_does_not_change_the_schema(
    databases: Databases, role: str, statement: str
) -> None:
    with pytest.raises(InsufficientPrivilege):
        databases.run(role, statement)


def test_a_table_of_a_later_migration_is_open_to_the_worker(databases: Databases) -> None:
    databases.run("image_processor", "CREATE TABLE later (id bigserial, note text)")

    databases.run("worker", "INSERT INTO later (note) VALUES ('a row')")

    assert databases.run("worker", "SELECT note FROM later") == [("a row",)]
    databases.run("image_processor", "DROP TABLE later")


def test_a_second_start_changes_no_owner(databases: Databases) -> None:
    owners = "SELECT tablename, tableowner FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    before = databases.run("pixmill", owners)

    databases.start_again()

    assert databases.run("pixmill", owners) == before


def test_a_new_password_applies_at_the_next_start(databases: Databases) -> None:
    stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'worker'"
    before = databases.run("pixmill", stored)

    databases.forget("PIXMILL_WORKER_DB_PASSWORD")
    databases.start_again()

    assert databases.run("pixmill", stored) != before
