"""Add the request's key, whose secret signs the webhooks, to batches and webhooks.

Existing rows have no key, and their webhooks keep the signature of their owner. A new trigger fills the column of
webhooks; the triggers that write the rows are unchanged.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_POSTGRESQL = [
    """
    CREATE FUNCTION add_key() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.key_id := (
            SELECT batches.key_id FROM tasks JOIN batches ON batches.id = tasks.batch_id WHERE tasks.id = NEW.task_id
        );
        RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER callbacks_key BEFORE INSERT ON callbacks FOR EACH ROW EXECUTE FUNCTION add_key()",
]
_SQLITE = [
    """
    CREATE TRIGGER callbacks_key AFTER INSERT ON callbacks
    BEGIN
        UPDATE callbacks SET key_id = (
            SELECT batches.key_id FROM tasks JOIN batches ON batches.id = tasks.batch_id WHERE tasks.id = NEW.task_id
        )
        WHERE id = NEW.id;
    END
    """,
]


def upgrade() -> None:
    for table in ("batches", "callbacks"):
        op.add_column(table, sa.Column("key_id", sa.String(16)))
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)
