"""An event when the last task of a batch has ended, in the transaction that ends it.

It is a row of task_events of the task 0, which no task is. On PostgreSQL, transactions that end tasks of a batch wait
for each other: of two that end the last two at the same time, neither would see that the other task has ended, too.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

_POSTGRESQL = [
    # All statements take the locks in one order: two that end tasks of the same batches do not block each other.
    # Unended tasks are found from the greatest id, where they are: most entries of the index before are of ended ones.
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
    # After the triggers of the rows, which record the events of the tasks.
    """
    CREATE TRIGGER batch_ended AFTER UPDATE ON tasks
    REFERENCING OLD TABLE AS tasks_before NEW TABLE AS tasks_after
    FOR EACH STATEMENT EXECUTE FUNCTION record_batch_events()
    """,
]
# SQLite runs triggers in no documented order, so this one writes its row after the task's by replacing its trigger.
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
