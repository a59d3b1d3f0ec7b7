"""Add batches, which store the values shared by the tasks of a request. Add start and end times to tasks.

Existing tasks keep their own params and callback URL. The new columns are empty, so that no row is rewritten; the new
index excludes these tasks, but reads the table once.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_in_batch = sa.text("batch_id IS NOT NULL")
_not_local = sa.text("owner <> 'local'")

_POSTGRESQL = [
    """
    CREATE OR REPLACE FUNCTION record_task_event() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        now double precision := extract(epoch from clock_timestamp());
        receiver text;
    BEGIN
        INSERT INTO task_events (task_id, batch_id, owner, status, result_id, error, created_at)
        VALUES (NEW.id, NEW.batch_id, NEW.owner, NEW.status, NEW.result_id, NEW.error, now);
        IF NEW.status IN ('finished', 'error', 'cancelled') THEN
            receiver := coalesce(NEW.callback_url, (SELECT callback_url FROM batches WHERE id = NEW.batch_id));
            IF receiver IS NOT NULL THEN
                INSERT INTO callbacks
                    (task_id, owner, attempt, url, status, result_id, error, tries, due_at, created_at)
                VALUES
                    (NEW.id, NEW.owner, NEW.attempt, receiver, NEW.status, NEW.result_id, NEW.error, 0, now, now);
            END IF;
        END IF;
        RETURN NULL;
    END $$
    """,
]

_EVENT = """
    INSERT INTO task_events (task_id, batch_id, owner, status, result_id, error, created_at)
    VALUES (NEW.id, NEW.batch_id, NEW.owner, NEW.status, NEW.result_id, NEW.error,
            (julianday('now') - 2440587.5) * 86400.0);
"""
_SQLITE = [
    "DROP TRIGGER task_created",
    "DROP TRIGGER task_changed",
    "DROP TRIGGER task_ended",
    f"CREATE TRIGGER task_created AFTER INSERT ON tasks BEGIN {_EVENT} END",
    f"CREATE TRIGGER task_changed AFTER UPDATE OF status ON tasks WHEN OLD.status <> NEW.status BEGIN {_EVENT} END",
    """
    CREATE TRIGGER task_ended AFTER UPDATE OF status ON tasks
    WHEN OLD.status <> NEW.status AND NEW.status IN ('finished', 'error', 'cancelled')
    BEGIN
        INSERT INTO callbacks (task_id, owner, attempt, url, status, result_id, error, tries, due_at, created_at)
        SELECT NEW.id, NEW.owner, NEW.attempt, url, NEW.status, NEW.result_id, NEW.error, 0, moment, moment
        FROM (SELECT (julianday('now') - 2440587.5) * 86400.0 AS moment,
                     coalesce(NEW.callback_url, (SELECT callback_url FROM batches WHERE id = NEW.batch_id)) AS url)
        WHERE url IS NOT NULL;
    END
    """,
]


def upgrade() -> None:
    _create_tables()
    op.add_column("tasks", sa.Column("batch_id", sa.BigInteger))
    op.add_column("tasks", sa.Column("started_at", sa.Double))
    op.add_column("tasks", sa.Column("ended_at", sa.Double))
    op.add_column("task_events", sa.Column("batch_id", sa.BigInteger))
    op.create_index(
        "tasks_batch", "tasks", ["batch_id", "status", "id"], postgresql_where=_in_batch, sqlite_where=_in_batch
    )
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)


def _create_tables() -> None:
    op.create_table(
        "batches",
        sa.Column("id", _id, primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("algorithm", sa.String(64), nullable=False),
        sa.Column("params", sa.JSON),
        sa.Column("preset", sa.String(64)),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("cache", sa.Boolean, nullable=False),
        sa.Column("callback_url", sa.Text),
        sa.Column("expires_in", sa.BigInteger),
        sa.Column("tasks", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("batches_owner", "batches", ["owner", "id"], postgresql_where=_not_local, sqlite_where=_not_local)
    op.create_table(
        "batch_keys",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("batch_id", sa.BigInteger, nullable=False),
        sa.Column("task_ids", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False, index=True),
    )
