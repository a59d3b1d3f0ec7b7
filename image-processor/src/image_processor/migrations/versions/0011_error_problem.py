"""Add the problem of a failed task to its sentence, also in events and webhooks.

New triggers fill the columns of events and webhooks; the triggers that write the rows are unchanged.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_TABLES = ("task_events", "callbacks")
_POSTGRESQL = [
    """
    CREATE FUNCTION add_error_problem() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.error_problem := (SELECT error_problem FROM tasks WHERE id = NEW.task_id);
        RETURN NEW;
    END $$
    """,
    *(
        f"CREATE TRIGGER {table}_problem BEFORE INSERT ON {table} FOR EACH ROW"
        " WHEN (NEW.status = 'error') EXECUTE FUNCTION add_error_problem()"
        for table in _TABLES
    ),
]
_SQLITE_TRIGGER = """
    CREATE TRIGGER {table}_problem AFTER INSERT ON {table} WHEN NEW.status = 'error'
    BEGIN
        UPDATE {table} SET error_problem = (SELECT error_problem FROM tasks WHERE id = NEW.task_id) WHERE id = NEW.id;
    END
"""
_SQLITE = [_SQLITE_TRIGGER.format(table=table) for table in _TABLES]


def upgrade() -> None:
    for table in ("tasks", *_TABLES):
        op.add_column(table, sa.Column("error_problem", sa.Text))
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)
