"""The roles of ``config/postgresql/roles.sh``: each service can access only its own tables."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import svcs
from file_storage.models import Base as FileModels
from image_processor.config import WebhookSettings, WorkerSettings
from image_processor.handler.celery_app import create_celery
from image_processor.injectors import create_worker_registry
from image_processor.models import Base as TaskModels
from image_processor.models import TaskChore
from image_processor.webhook_injectors import create_webhook_threads
from psycopg.errors import InsufficientPrivilege
from service_kit.access.audit import AuditTrail, Change
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.models import Base as AccessModels
from service_kit.access.principals import Scope
from service_kit.access.wrong_keys import WrongKeys
from service_kit.database import Database
from service_kit.housekeeping import Chore, Housekeeping
from service_kit.migrations import migrate
from service_kit.settings import load
from sqlalchemy import create_engine
from structlog.testing import capture_logs

from tests.support.databases import libpq_url
from tests.support.environment import ENVIRONMENT
from tests.support.folders import temporary_folder
from tests.support.processes import free_port, skip_where_missing
from tests.support.servers import create_roles, start_postgres

FILES = sorted([*FileModels.metadata.tables, "file_storage_version"])
TASKS = sorted([*TaskModels.metadata.tables, "image_processor_version"])
ACCESS = sorted([*AccessModels.metadata.tables, "access_version"])
ROLES = ["file_storage", "image_processor", "worker", "webhooks", "access", "render"]
ALLOWED = {
    "worker": {
        "tasks": "SELECT DELETE",
        "batches": "SELECT DELETE",
        "batch_keys": "SELECT DELETE",
        "cached_results": "SELECT INSERT UPDATE DELETE",
        "discarded_results": "SELECT INSERT UPDATE DELETE",
        "task_events": "SELECT DELETE",
        "unended_tasks": "SELECT INSERT UPDATE DELETE",
        "ended_tasks": "SELECT INSERT UPDATE DELETE",
        "task_chores": "SELECT INSERT",
    },
    "webhooks": {
        "callbacks": "SELECT UPDATE DELETE",
        "callback_hosts": "SELECT INSERT UPDATE DELETE",
        "task_chores": "SELECT INSERT",
    },
    "render": {
        "access_owners": "SELECT",
        "access_keys": "SELECT",
        "access_sessions": "SELECT",
        "access_wrong_keys": "SELECT INSERT UPDATE DELETE",
    },
}
"""What the processes without migrations may do with whole tables; with the others, nothing."""
WRITTEN_ONCE = {
    *("id", "owner", "batch_id", "source_id", "source_name", "source_extension", "source_sha256", "algorithm"),
    *("params", "priority", "cache", "callback_url", "result_key", "restarts", "created_at"),
}
"""The columns of a task that no worker changes."""
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
        migrate(self.urls["access"], "service_kit.access")

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
        with psycopg.connect(libpq_url(url), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """Stop the server."""
        self._server.stop()


@pytest.fixture(scope="module", params=["new", pytest.param("of an earlier version", marks=pytest.mark.thorough)])
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


def test_access_keeps_the_entries_of_its_audit_trail(databases: Databases) -> None:
    entry = "INSERT INTO access_audit (time, owner, address, action, object, status, request_id)"
    for object_, days in (("old", 366), ("young", 364)):
        values = f"VALUES (extract(epoch from now()) - {days} * 86400, 'ann', '', '', '{object_}', 200, '')"
        databases.run("access", f"{entry} {values}")

    for statement in (
        "UPDATE access_audit SET owner = 'mallory'",
        "DELETE FROM access_audit",
        "DELETE FROM access_audit WHERE object = 'young'",
        "TRUNCATE access_audit",
    ):
        with pytest.raises(InsufficientPrivilege):
            databases.run("access", statement)
    databases.run("access", "DELETE FROM access_audit WHERE object = 'old'")

    assert databases.run("access", "SELECT owner, object FROM access_audit") == [("ann", "young")]


@pytest.mark.parametrize(("role", "table"), sorted({(role, table) for role in ALLOWED for table in [*TASKS, *ACCESS]}))
def test_a_process_without_migrations_has_the_privileges_of_its_job(
    databases: Databases, role: str, table: str
) -> None:
    every = "'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'"

    has = databases.run(
        role, f"SELECT held FROM unnest(ARRAY[{every}]) AS held WHERE has_table_privilege(%s, held)", table
    )

    assert {held for (held,) in has} == set(ALLOWED[role].get(table, "").split())


def test_render_admits_requests_and_records_them(databases: Databases) -> None:
    owner, render = Database(databases.urls["access"]), Database(databases.urls["render"])
    key = KeyService(owner).create(KeyRequest("ann", frozenset({Scope.FILES_READ}), "laptop"))
    admitted = KeyService(owner).recognize(key.secret)
    assert admitted is not None
    session = KeyService(owner).sign_in(admitted, 60)
    keys, trail = KeyService(render), AuditTrail(render, keep_seconds=None)

    seen = [keys.recognize(key.secret), keys.recognize_session(session)]
    WrongKeys(render).count("192.0.2.7")
    trail.add(Change(time.time(), "ann", key.key.id, "192.0.2.7", "DELETE", "/renders/1", 204, "a1"))
    trail.close()

    assert seen == [admitted, admitted]
    assert keys.limits("ann") == KeyService(owner).limits("ann")
    assert databases.run("access", "SELECT failures FROM access_wrong_keys") == [(1,)]
    assert databases.run("access", "SELECT object FROM access_audit WHERE request_id = 'a1'") == [("/renders/1",)]
    assert databases.run("access", "SELECT last_used_at FROM access_keys WHERE last_used_at IS NULL") == []
    owner.engine.dispose()
    render.engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO access_owners (name, created_at) VALUES ('mallory', 0)",
        "INSERT INTO access_keys (id, owner, note, sha256, scopes, created_at) VALUES ('1', 'ann', '', '', '[]', 0)",
        "UPDATE access_keys SET scopes = '[\"admin\"]', revoked_at = NULL",
        "DELETE FROM access_keys",
        "INSERT INTO access_sessions (sha256, key_id, expires_at) VALUES ('a', '1', 9e9)",
        "SELECT * FROM access_audit",
        "INSERT INTO access_audit (id, time, owner, address, action, object, status, request_id)"
        " VALUES (7, 0, 'ann', '', '', '', 200, '')",
        "UPDATE access_audit SET owner = 'mallory'",
        "DELETE FROM access_audit",
        "CREATE OR REPLACE FUNCTION keep_audit_entry() RETURNS trigger LANGUAGE sql AS ''",
    ],
)
def test_a_render_process_that_was_taken_over_makes_no_key(databases: Databases, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        databases.run("render", statement)


def test_a_batch_is_locked_by_the_worker_but_not_changed(databases: Databases) -> None:
    assert databases.run("worker", "SELECT id FROM batches FOR UPDATE") == []

    with pytest.raises(InsufficientPrivilege):
        databases.run("worker", "UPDATE batches SET key_id = 'k', callback_url = 'https://attacker.example'")


def test_the_worker_does_not_change_what_was_asked_for(databases: Databases) -> None:
    columns = set(TaskModels.metadata.tables["tasks"].columns.keys())

    changeable = {
        column
        for column in columns
        if databases.run("worker", "SELECT has_column_privilege('tasks', %s, 'UPDATE')", column) == [(True,)]
    }

    assert changeable == columns - WRITTEN_ONCE


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO callbacks (task_id, owner, attempt, url, status, tries, due_at, created_at)"
        " VALUES (1, 'ann', 1, 'https://attacker.example/', 'finished', 0, 0, 0)",
        "UPDATE tasks SET callback_url = 'https://attacker.example/'",
        "UPDATE tasks SET owner = 'mallory', batch_id = 1",
        "INSERT INTO task_events (task_id, owner, status, created_at) VALUES (1, 'ann', 'finished', 0)",
        "SELECT nextval('callbacks_id_seq')",
        "CREATE TEMPORARY TABLE callbacks (id int)",
    ],
)
def test_a_decoder_that_was_taken_over_sends_no_webhook_of_its_own(databases: Databases, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        databases.run("worker", statement)


@pytest.mark.parametrize("function", ["record_task_event", "record_batch_events"])
def test_the_trigger_with_the_rights_of_its_owner_is_of_no_other_table(databases: Databases, function: str) -> None:
    databases.run("access", "CREATE TABLE own_tasks (id bigint, callback_url text)")

    try:
        with pytest.raises(InsufficientPrivilege):
            databases.run(
                "access",
                f"CREATE TRIGGER forged AFTER INSERT ON own_tasks FOR EACH ROW EXECUTE FUNCTION {function}()",
            )
    finally:
        databases.run("access", "DROP TABLE own_tasks")


@pytest.mark.parametrize("role", ["image_processor", "worker", "webhooks"])
def test_a_process_without_migrations_claims_the_chores_of_its_job(databases: Databases, role: str) -> None:
    database, runs = Database(databases.urls[role]), list[str]()

    def run() -> int:
        runs.append(role)
        return 1

    housekeeping = Housekeeping(database, TaskChore, [Chore(role, 3600, run)])
    housekeeping.run_due()
    housekeeping.run_due()

    database.engine.dispose()
    assert runs == [role]


def test_the_roles_of_the_chores_may_do_them(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    databases.run("image_processor", "DELETE FROM task_chores")
    (tmp_path / "conf.yml").touch()
    for name, value in {
        "WORKER_CONFIG": str(tmp_path / "conf.yml"),
        "WORKER_BROKER__URL": "memory://",
        "WORKER_DATABASE__URL": databases.urls["worker"],
        "WORKER_SCRATCH_FOLDER": str(tmp_path / "scratch"),
        "WORKER_RELAY__KEEP_TASKS_SECONDS": "3600",
        "WEBHOOKS_CONFIG": str(tmp_path / "conf.yml"),
        "WEBHOOKS_DATABASE__URL": databases.urls["webhooks"],
        **ENVIRONMENT,
    }.items():
        monkeypatch.setenv(name, value)
    settings = load(WorkerSettings)
    database = Database(settings.database.url, pool_size=1)
    worker = svcs.Container(create_worker_registry(settings, database, create_celery(settings.broker), "worker"))
    webhooks, _ = create_webhook_threads(load(WebhookSettings))

    with capture_logs() as logs:
        worker.get(Housekeeping).run_due()
        webhooks.run_due()

    database.engine.dispose()
    assert logs == []
    assert databases.run("worker", "SELECT count(*) FROM task_chores WHERE due_at > 0") == [(7,)]


@pytest.mark.parametrize("role", ["worker", "webhooks"])
def test_a_process_without_migrations_renames_no_chore(databases: Databases, role: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        databases.run(role, "UPDATE task_chores SET name = 'another'")


def test_the_triggers_of_a_task_that_the_worker_ends_may_write(databases: Databases) -> None:
    databases.run(
        "image_processor",
        "INSERT INTO batches (owner, algorithm, priority, cache, callback_url, tasks, created_at)"
        " VALUES ('ann', 'flip', 0, true, 'https://receiver.example/', 1, 0)",
    )
    [[batch]] = databases.run("image_processor", "SELECT max(id) FROM batches")
    task = (
        TaskModels.metadata.tables["tasks"]
        .insert()
        .values(owner="ann", batch_id=batch, source_id=1, algorithm="flip", status="processing", result_key=str(batch))
    )
    engine = create_engine(databases.urls["image_processor"])
    with engine.begin() as connection:
        connection.execute(task)
    engine.dispose()

    databases.run("worker", "UPDATE tasks SET status = 'finished', result_id = 2")

    assert databases.run("webhooks", "SELECT url, result_id FROM callbacks") == [("https://receiver.example/", 2)]
    databases.run("webhooks", "DELETE FROM callbacks")
    databases.run("worker", "DELETE FROM tasks")
    databases.run("worker", "DELETE FROM batches")
    assert databases.run("image_processor", "SELECT status FROM task_events WHERE task_id > 0 ORDER BY id") == [
        ("processing",),
        ("finished",),
    ]
    databases.run("worker", "DELETE FROM task_events")


@pytest.mark.parametrize("role", ["image_processor", "worker", "webhooks", "access", "render"])
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


@pytest.mark.parametrize("role", ["worker", "webhooks", "render"])
@pytest.mark.parametrize("statement", ["CREATE TABLE another (id int)", "DROP TABLE tasks", "TRUNCATE tasks"])
def test_a_process_without_migrations_does_not_change_the_schema(
    databases: Databases, role: str, statement: str
) -> None:
    with pytest.raises(InsufficientPrivilege):
        databases.run(role, statement)


@pytest.mark.parametrize("role", ["worker", "webhooks"])
def test_a_table_of_a_later_migration_is_closed_until_it_is_granted(databases: Databases, role: str) -> None:
    databases.run("image_processor", "CREATE TABLE later (id bigserial, note text)")

    try:
        with pytest.raises(InsufficientPrivilege):
            databases.run(role, "SELECT note FROM later")
        with pytest.raises(InsufficientPrivilege):
            databases.run(role, "SELECT nextval('later_id_seq')")
    finally:
        databases.run("image_processor", "DROP TABLE later")


def test_a_start_takes_away_what_earlier_versions_granted(databases: Databases) -> None:
    databases.run("pixmill", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO worker, webhooks")
    databases.run(
        "pixmill",
        "ALTER DEFAULT PRIVILEGES FOR ROLE image_processor IN SCHEMA public"
        " GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO worker, webhooks",
    )

    databases.start_again()
    migrate(databases.urls["image_processor"], "image_processor")

    databases.run("image_processor", "CREATE TABLE later (id int)")
    for table in ("presets", "image_processor_version", "later"):
        with pytest.raises(InsufficientPrivilege):
            databases.run("worker", f"DELETE FROM {table}")
    databases.run("image_processor", "DROP TABLE later")
    # What this test granted beyond the tables of tasks.
    databases.run("pixmill", f"REVOKE ALL ON {', '.join(FILES)} FROM worker, webhooks")


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
