"""Add owners to tasks, events, webhooks and discarded results; count each owner's tasks that have not ended.

Existing rows belong to the owner ``local``. A constant default changes no row, so this is quick for any number of
tasks; the two indexes of tasks read the table once each.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_pending = sa.text("status = 'pending'")
_not_local = sa.text("owner <> 'local'")

_POSTGRESQL = [
    "CREATE SEQUENCE unended_tasks_part",
    """
    CREATE OR REPLACE FUNCTION record_task_event() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE now double precision := extract(epoch from clock_timestamp());
    BEGIN
        INSERT INTO task_events (task_id, owner, status, result_id, error, created_at)
        VALUES (NEW.id, NEW.owner, NEW.status, NEW.result_id, NEW.error, now);
        IF NEW.callback_url IS NOT NULL AND NEW.status IN ('finished', 'error', 'cancelled') THEN
            INSERT INTO callbacks
                (task_id, owner, attempt, url, status, result_id, error, tries, due_at, created_at)
            VALUES
                (NEW.id, NEW.owner, NEW.attempt, NEW.callback_url, NEW.status, NEW.result_id, NEW.error, 0, now, now);
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION count_new_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unended_tasks (owner, part, tasks)
        SELECT owner, nextval('unended_tasks_part'), tasks
        FROM (SELECT owner, count(*) AS tasks FROM created WHERE status IN ('pending', 'processing') GROUP BY owner)
             AS unended;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER tasks_counted AFTER INSERT ON tasks REFERENCING NEW TABLE AS created
    FOR EACH STATEMENT EXECUTE FUNCTION count_new_tasks()
    """,
    """
    CREATE FUNCTION count_task() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unended_tasks (owner, part, tasks)
        VALUES (OLD.owner, nextval('unended_tasks_part'),
                CASE WHEN TG_OP = 'UPDATE' AND NEW.status IN ('pending', 'processing') THEN 1 ELSE -1 END);
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER task_counted AFTER UPDATE OF status ON tasks FOR EACH ROW
    WHEN ((OLD.status IN ('pending', 'processing')) <> (NEW.status IN ('pending', 'processing')))
    EXECUTE FUNCTION count_task()
    """,
    """
    CREATE TRIGGER task_deleted AFTER DELETE ON tasks FOR EACH ROW
    WHEN (OLD.status IN ('pending', 'processing')) EXECUTE FUNCTION count_task()
    """,
]

_EVENT = """
    INSERT INTO task_events (task_id, owner, status, result_id, error, created_at)
    VALUES (NEW.id, NEW.owner, NEW.status, NEW.result_id, NEW.error, (julianday('now') - 2440587.5) * 86400.0);
"""


_ONE_MORE = """
    INSERT INTO unended_tasks (owner, part, tasks) VALUES (NEW.owner, 0, 1)
    ON CONFLICT (owner, part) DO UPDATE SET tasks = tasks + 1;
"""
_ONE_LESS = "UPDATE unended_tasks SET tasks = tasks - 1 WHERE owner = OLD.owner AND part = 0;"
_SQLITE = [
    "DROP TRIGGER task_created",
    "DROP TRIGGER task_changed",
    "DROP TRIGGER task_ended",
    f"CREATE TRIGGER task_created AFTER INSERT ON tasks BEGIN {_EVENT} END",
    f"CREATE TRIGGER task_changed AFTER UPDATE OF status ON tasks WHEN OLD.status <> NEW.status BEGIN {_EVENT} END",
    """
    CREATE TRIGGER task_ended AFTER UPDATE OF status ON tasks
    WHEN OLD.status <> NEW.status AND NEW.status IN ('finished', 'error', 'cancelled') AND NEW.callback_url IS NOT NULL
    BEGIN
        INSERT INTO callbacks (task_id, owner, attempt, url, status, result_id, error, tries, due_at, created_at)
        SELECT NEW.id, NEW.owner, NEW.attempt, NEW.callback_url, NEW.status, NEW.result_id, NEW.error, 0, moment, moment
        FROM (SELECT (julianday('now') - 2440587.5) * 86400.0 AS moment);
    END
    """,
    f"""
    CREATE TRIGGER task_counted AFTER INSERT ON tasks WHEN NEW.status IN ('pending', 'processing')
    BEGIN {_ONE_MORE} END
    """,
    f"""
    CREATE TRIGGER task_counted_end AFTER UPDATE OF status ON tasks
    WHEN OLD.status IN ('pending', 'processing') AND NEW.status NOT IN ('pending', 'processing')
    BEGIN {_ONE_LESS} END
    """,
    f"""
    CREATE TRIGGER task_counted_restart AFTER UPDATE OF status ON tasks
    WHEN OLD.status NOT IN ('pending', 'processing') AND NEW.status IN ('pending', 'processing')
    BEGIN {_ONE_MORE} END
    """,
    f"""
    CREATE TRIGGER task_deleted AFTER DELETE ON tasks WHEN OLD.status IN ('pending', 'processing')
    BEGIN {_ONE_LESS} END
    """,
]


def upgrade() -> None:
    for table in ("tasks", "task_events", "callbacks", "discarded_results"):
        op.add_column(table, sa.Column("owner", sa.String(64), nullable=False, server_default="local"))
    op.create_table(
        "unended_tasks",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("part", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tasks", sa.BigInteger, nullable=False),
    )
    # A subquery for each, so that it reads the index of tasks in this state instead of the table.
    op.execute("""
        INSERT INTO unended_tasks (owner, part, tasks)
        SELECT 'local', 0, (SELECT count(*) FROM tasks WHERE status = 'pending')
                         + (SELECT count(*) FROM tasks WHERE status = 'processing')
    """)
    op.drop_index("tasks_pending", "tasks")
    op.create_index(
        "tasks_pending",
        "tasks",
        [sa.text("priority DESC"), "owner", "id"],
        postgresql_where=_pending,
        sqlite_where=_pending,
    )
    op.create_index("tasks_owner", "tasks", ["owner", "id"], postgresql_where=_not_local, sqlite_where=_not_local)
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)
