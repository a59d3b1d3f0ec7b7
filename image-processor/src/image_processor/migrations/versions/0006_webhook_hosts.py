"""Deliver webhooks by host, with the attempt of their task."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_taken = sa.text("taken_until IS NOT NULL")

# SQLite cannot add a stored column.
_HOST = {
    "postgresql": "host text GENERATED ALWAYS AS (split_part(url, '/', 3)) STORED",
    "sqlite": """
        host text GENERATED ALWAYS AS (
            substr(url, instr(url, '://') + 3, instr(substr(url, instr(url, '://') + 3) || '/', '/') - 1)
        ) VIRTUAL
    """,
}
_POSTGRESQL = [
    """
    CREATE OR REPLACE FUNCTION record_task_event() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE now double precision := extract(epoch from clock_timestamp());
    BEGIN
        INSERT INTO task_events (task_id, status, result_id, error, created_at)
        VALUES (NEW.id, NEW.status, NEW.result_id, NEW.error, now);
        IF NEW.callback_url IS NOT NULL AND NEW.status IN ('finished', 'error', 'cancelled') THEN
            INSERT INTO callbacks (task_id, attempt, url, status, result_id, error, tries, due_at, created_at)
            VALUES (NEW.id, NEW.attempt, NEW.callback_url, NEW.status, NEW.result_id, NEW.error, 0, now, now);
        END IF;
        RETURN NULL;
    END $$
    """,
]
_SQLITE = [
    "DROP TRIGGER task_ended",
    """
    CREATE TRIGGER task_ended AFTER UPDATE OF status ON tasks
    WHEN OLD.status <> NEW.status AND NEW.status IN ('finished', 'error', 'cancelled') AND NEW.callback_url IS NOT NULL
    BEGIN
        INSERT INTO callbacks (task_id, attempt, url, status, result_id, error, tries, due_at, created_at)
        SELECT NEW.id, NEW.attempt, NEW.callback_url, NEW.status, NEW.result_id, NEW.error, 0, moment, moment
        FROM (SELECT (julianday('now') - 2440587.5) * 86400.0 AS moment);
    END
    """,
]


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    op.add_column("callbacks", sa.Column("attempt", sa.Integer, nullable=False, server_default="0"))
    op.add_column("callbacks", sa.Column("taken_until", sa.Double))
    op.execute(f"ALTER TABLE callbacks ADD COLUMN {_HOST[dialect]}")
    op.create_index("callbacks_host", "callbacks", ["host", "due_at"])
    op.create_index("callbacks_taken", "callbacks", ["host"], postgresql_where=_taken, sqlite_where=_taken)
    op.create_table(
        "callback_hosts",
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failing_since", sa.Double),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("answered_at", sa.Double),
        sa.Column("changed_at", sa.Double, nullable=False, index=True),
    )
    for statement in _POSTGRESQL if dialect == "postgresql" else _SQLITE:
        op.execute(statement)
