"""Count ended tasks by owner, status and day, in the transaction that ends, restarts or deletes them.

On PostgreSQL each change adds a row, as for tasks that have not ended, so that no transaction waits for another.
Existing tasks of the last days are counted on the day of their end; older ones have no day.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_POSTGRESQL = [
    "CREATE SEQUENCE ended_tasks_part",
    """
    CREATE OR REPLACE FUNCTION count_new_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unended_tasks (owner, part, tasks)
        SELECT owner, nextval('unended_tasks_part'), tasks
        FROM (SELECT owner, count(*) AS tasks FROM created WHERE status IN ('pending', 'processing') GROUP BY owner)
             AS unended;
        INSERT INTO ended_tasks (owner, status, day, part, tasks)
        SELECT owner, status, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
               nextval('ended_tasks_part'), tasks
        FROM (SELECT owner, status, count(*) AS tasks
              FROM created WHERE status IN ('finished', 'error', 'cancelled') GROUP BY owner, status) AS ended;
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION count_task() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        was_ended boolean := OLD.status IN ('finished', 'error', 'cancelled');
        is_ended boolean := NEW.status IN ('finished', 'error', 'cancelled');
    BEGIN
        IF was_ended <> is_ended THEN
            INSERT INTO unended_tasks (owner, part, tasks)
            VALUES (OLD.owner, nextval('unended_tasks_part'), CASE WHEN was_ended THEN 1 ELSE -1 END);
        END IF;
        IF was_ended THEN
            INSERT INTO ended_tasks (owner, status, day, part, tasks)
            VALUES (OLD.owner, OLD.status, '', nextval('ended_tasks_part'), -1);
        END IF;
        IF is_ended THEN
            INSERT INTO ended_tasks (owner, status, day, part, tasks)
            VALUES (NEW.owner, NEW.status, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
                    nextval('ended_tasks_part'), 1);
        END IF;
        RETURN NULL;
    END $$
    """,
    "DROP TRIGGER task_counted ON tasks",
    """
    CREATE TRIGGER task_counted AFTER UPDATE OF status ON tasks FOR EACH ROW
    WHEN (OLD.status <> NEW.status
          AND (OLD.status NOT IN ('pending', 'processing') OR NEW.status NOT IN ('pending', 'processing')))
    EXECUTE FUNCTION count_task()
    """,
    # Once per statement, because a thousand tasks are deleted by one statement.
    """
    CREATE FUNCTION count_deleted_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unended_tasks (owner, part, tasks)
        SELECT owner, nextval('unended_tasks_part'), -tasks
        FROM (SELECT owner, count(*) AS tasks FROM deleted WHERE status IN ('pending', 'processing') GROUP BY owner)
             AS unended;
        INSERT INTO ended_tasks (owner, status, day, part, tasks)
        SELECT owner, status, '', nextval('ended_tasks_part'), -tasks
        FROM (SELECT owner, status, count(*) AS tasks
              FROM deleted WHERE status IN ('finished', 'error', 'cancelled') GROUP BY owner, status) AS ended;
        RETURN NULL;
    END $$
    """,
    "DROP TRIGGER task_deleted ON tasks",
    """
    CREATE TRIGGER tasks_deleted AFTER DELETE ON tasks REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_tasks()
    """,
]

_ADDED = " ON CONFLICT (owner, status, day, part) DO UPDATE SET tasks = tasks + excluded.tasks;"
_ONE_MORE = """
    INSERT INTO ended_tasks (owner, status, day, part, tasks) VALUES (NEW.owner, NEW.status, date('now'), 0, 1)
"""
_ONE_MORE += _ADDED
_ONE_LESS = """
    INSERT INTO ended_tasks (owner, status, day, part, tasks) VALUES (OLD.owner, OLD.status, '', 0, -1)
"""
_ONE_LESS += _ADDED
_OLD_ENDED, _NEW_ENDED = (f"{row}.status IN ('finished', 'error', 'cancelled')" for row in ("OLD", "NEW"))
_SQLITE = [
    f"CREATE TRIGGER task_counted_new_end AFTER INSERT ON tasks WHEN {_NEW_ENDED} BEGIN {_ONE_MORE} END",
    f"""
    CREATE TRIGGER task_counted_ended AFTER UPDATE OF status ON tasks WHEN OLD.status <> NEW.status AND {_NEW_ENDED}
    BEGIN {_ONE_MORE} END
    """,
    f"""
    CREATE TRIGGER task_counted_ended_before AFTER UPDATE OF status ON tasks
    WHEN OLD.status <> NEW.status AND {_OLD_ENDED} BEGIN {_ONE_LESS} END
    """,
    f"CREATE TRIGGER task_counted_ended_delete AFTER DELETE ON tasks WHEN {_OLD_ENDED} BEGIN {_ONE_LESS} END",
]

# Rows without a recorded end were not changed after their end.
_COUNT_POSTGRESQL = """
    INSERT INTO ended_tasks (owner, status, day, part, tasks)
    SELECT owner, status,
           CASE WHEN ended > extract(epoch from now()) - 31 * 86400
                THEN to_char(to_timestamp(ended) AT TIME ZONE 'UTC', 'YYYY-MM-DD') ELSE '' END,
           0, count(*)
    FROM (SELECT owner, status, coalesce(ended_at, updated_at) AS ended
          FROM tasks WHERE status IN ('finished', 'error', 'cancelled')) AS found
    GROUP BY 1, 2, 3
"""
_COUNT_SQLITE = """
    INSERT INTO ended_tasks (owner, status, day, part, tasks)
    SELECT owner, status,
           CASE WHEN ended > (julianday('now') - 2440587.5) * 86400.0 - 31 * 86400
                THEN date(ended, 'unixepoch') ELSE '' END,
           0, count(*)
    FROM (SELECT owner, status, coalesce(ended_at, updated_at) AS ended
          FROM tasks WHERE status IN ('finished', 'error', 'cancelled'))
    GROUP BY 1, 2, 3
"""


def upgrade() -> None:
    op.create_table(
        "ended_tasks",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("status", sa.String(16), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("part", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tasks", sa.BigInteger, nullable=False),
    )
    postgresql = op.get_bind().dialect.name == "postgresql"
    # Triggers come first: creating them blocks other writers, so that no task is missed or counted twice.
    for statement in _POSTGRESQL if postgresql else _SQLITE:
        op.execute(statement)
    op.execute(_COUNT_POSTGRESQL if postgresql else _COUNT_SQLITE)
