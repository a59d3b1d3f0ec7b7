"""Add priorities, claims by process, events, callbacks, discarded and cached results."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_pending = sa.text("status = 'pending'")
_held = sa.text("claimed_by IS NOT NULL")
_restartable = sa.text("status IN ('error', 'cancelled')")

_POSTGRESQL = [
    "ALTER TABLE task_events ALTER COLUMN transaction_id SET DEFAULT pg_current_xact_id()::text::bigint",
    """
    CREATE FUNCTION record_task_event() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE now double precision := extract(epoch from clock_timestamp());
    BEGIN
        INSERT INTO task_events (task_id, status, result_id, error, created_at)
        VALUES (NEW.id, NEW.status, NEW.result_id, NEW.error, now);
        IF NEW.callback_url IS NOT NULL AND NEW.status IN ('finished', 'error', 'cancelled') THEN
            INSERT INTO callbacks (task_id, url, status, result_id, error, tries, due_at, created_at)
            VALUES (NEW.id, NEW.callback_url, NEW.status, NEW.result_id, NEW.error, 0, now, now);
        END IF;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER task_created AFTER INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION record_task_event()",
    """
    CREATE TRIGGER task_changed AFTER UPDATE OF status ON tasks FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION record_task_event()
    """,
]
_EVENT = """
    INSERT INTO task_events (task_id, status, result_id, error, created_at)
    VALUES (NEW.id, NEW.status, NEW.result_id, NEW.error, (julianday('now') - 2440587.5) * 86400.0);
"""
_SQLITE = [
    f"CREATE TRIGGER task_created AFTER INSERT ON tasks BEGIN {_EVENT} END",
    f"CREATE TRIGGER task_changed AFTER UPDATE OF status ON tasks WHEN OLD.status <> NEW.status BEGIN {_EVENT} END",
    """
    CREATE TRIGGER task_ended AFTER UPDATE OF status ON tasks
    WHEN OLD.status <> NEW.status AND NEW.status IN ('finished', 'error', 'cancelled') AND NEW.callback_url IS NOT NULL
    BEGIN
        INSERT INTO callbacks (task_id, url, status, result_id, error, tries, due_at, created_at)
        SELECT NEW.id, NEW.callback_url, NEW.status, NEW.result_id, NEW.error, 0, moment, moment
        FROM (SELECT (julianday('now') - 2440587.5) * 86400.0 AS moment);
    END
    """,
]


def upgrade() -> None:
    _extend_tasks()
    _create_tables()
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)


def _extend_tasks() -> None:
    op.add_column("tasks", sa.Column("source_name", sa.String(255), nullable=False, server_default="result"))
    op.add_column("tasks", sa.Column("source_extension", sa.String(255), nullable=False, server_default=""))
    op.add_column("tasks", sa.Column("source_sha256", sa.String(64)))
    op.add_column("tasks", sa.Column("priority", sa.SmallInteger, nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("cache", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("tasks", sa.Column("callback_url", sa.Text))
    op.add_column("tasks", sa.Column("restarts", sa.Integer, nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("process", sa.Integer))
    op.drop_index("tasks_pending", "tasks")
    op.create_index(
        "tasks_pending", "tasks", [sa.text("priority DESC"), "id"], postgresql_where=_pending, sqlite_where=_pending
    )
    op.create_index("tasks_held", "tasks", ["claimed_by"], postgresql_where=_held, sqlite_where=_held)
    op.create_index("tasks_restartable", "tasks", ["id"], postgresql_where=_restartable, sqlite_where=_restartable)
    op.create_index("tasks_source", "tasks", ["source_id", "id"])


def _create_tables() -> None:
    op.create_table(
        "task_events",
        sa.Column("id", _id, primary_key=True),
        sa.Column("transaction_id", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("result_id", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False, index=True),
        sqlite_autoincrement=True,
    )
    op.create_index("task_events_order", "task_events", ["transaction_id", "id"])
    op.create_table(
        "callbacks",
        sa.Column("id", _id, primary_key=True),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("result_id", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False, index=True),
        sa.Column("created_at", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "discarded_results",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("due_at", sa.Double, nullable=False, index=True),
    )
    op.create_table(
        "cached_results",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("result_id", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False, index=True),
    )
