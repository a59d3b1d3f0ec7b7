"""Add an event for the end of a batch's last task, in the transaction that ends the task.

The event is a row of task_events with the task id 0, which no task has. On PostgreSQL, transactions that end tasks of
the same batch wait for each other: two transactions that end the last two tasks at the same time would each miss the
other's end.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

_POSTGRESQL = [
    # All statements take the locks in one order, so that two which end tasks of the same batches do not deadlock.
    # Search for unended tasks from the greatest id: lower index entries mostly belong to ended tasks.
    """
    CREATE FUNCTION record_batch_events() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        batch record;
    BEGIN
        FOR batch IN
            SELECT DISTINCT after.batch_id AS id, after.owner FROM tasks_before before JOIN tasks_after after USING (id)
            WHERE after.batch_id IS NOT NULL AND before.status IN ('pending', 'processing')
              AND after.status IN ('finished', 'error', 'cancelled')
            ORDER BY after.batch_id
        LOOP
            PERFORM pg_advisory_xact_lock(hashtextextended('end of batch ' || batch.id, 0));
            PERFORM FROM tasks WHERE batch_id = batch.id AND status = 'pending' ORDER BY id DESC LIMIT 1;
            CONTINUE WHEN FOUND;
            PERFORM FROM tasks WHERE batch_id = batch.id AND status = 'processing' ORDER BY id DESC LIMIT 1;
            CONTINUE WHEN FOUND;
            INSERT INTO task_events (task_id, batch_id, owner, status, created_at)
            VALUES (0, batch.id, batch.owner, 'finished', extract(epoch from clock_timestamp()));
        END LOOP;
        RETURN NULL;
    END $$
    """,
    # Runs after the row triggers, which record the events of the tasks.
    """
    CREATE TRIGGER batch_ended AFTER UPDATE ON tasks
    REFERENCING OLD TABLE AS tasks_before NEW TABLE AS tasks_after
    FOR EACH STATEMENT EXECUTE FUNCTION record_batch_events()
    """,
]
# SQLite runs triggers in no documented order, so replace the task's trigger by one that writes this row after its own.
_SQLITE = [
    "DROP TRIGGER task_changed",
    """
    CREATE TRIGGER task_changed AFTER UPDATE OF status ON tasks WHEN OLD.status <> NEW.status
    BEGIN
        INSERT INTO task_events (task_id, batch_id, owner, status, result_id, error, created_at)
        VALUES (NEW.id, NEW.batch_id, NEW.owner, NEW.status, NEW.result_id, NEW.error,
                (julianday('now') - 2440587.5) * 86400.0);
        INSERT INTO task_events (task_id, batch_id, owner, status, created_at)
        SELECT 0, NEW.batch_id, NEW.owner, 'finished', (julianday('now') - 2440587.5) * 86400.0
        WHERE NEW.batch_id IS NOT NULL
          AND OLD.status IN ('pending', 'processing') AND NEW.status IN ('finished', 'error', 'cancelled')
          AND NOT EXISTS (SELECT 1 FROM tasks
                          WHERE batch_id = NEW.batch_id AND status = 'pending' ORDER BY id DESC LIMIT 1)
          AND NOT EXISTS (SELECT 1 FROM tasks
                          WHERE batch_id = NEW.batch_id AND status = 'processing' ORDER BY id DESC LIMIT 1);
    END
    """,
]


def upgrade() -> None:
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)
