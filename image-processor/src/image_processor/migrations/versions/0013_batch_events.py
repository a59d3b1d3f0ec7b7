"""An event when the last task of a batch has ended, in the transaction that ends it.

It is a row of task_events of the task 0, which no task is. On PostgreSQL, transactions that end tasks of a batch wait
for each other: of two that end the last two at the same time, neither would see that the other task has ended, too.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

_POSTGRESQL = [
    # Unended tasks are found from the greatest id, where they are: most entries of the index before are of ended ones.
    """
    CREATE FUNCTION record_batch_event() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        known text := coalesce(current_setting('pixmill.ended_batches', true), '');
        this text := ' ' || NEW.batch_id || ' ';
    BEGIN
        -- A statement that ends the last thousand tasks comes here a thousand times.
        IF strpos(known, this) > 0 THEN
            RETURN NULL;
        END IF;
        PERFORM pg_advisory_xact_lock(hashtextextended('end of batch ' || NEW.batch_id, 0));
        PERFORM FROM tasks WHERE batch_id = NEW.batch_id AND status = 'pending' ORDER BY id DESC LIMIT 1;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        PERFORM FROM tasks WHERE batch_id = NEW.batch_id AND status = 'processing' ORDER BY id DESC LIMIT 1;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        PERFORM set_config('pixmill.ended_batches', known || this, true);
        INSERT INTO task_events (task_id, batch_id, owner, status, created_at)
        VALUES (0, NEW.batch_id, NEW.owner, 'finished', extract(epoch from clock_timestamp()));
        RETURN NULL;
    END $$
    """,
    # Triggers of an event run in the order of their names: this one after the one that records the task's event.
    """
    CREATE TRIGGER task_zz_batch_ended AFTER UPDATE OF status ON tasks FOR EACH ROW
    WHEN (OLD.status IN ('pending', 'processing') AND NEW.status IN ('finished', 'error', 'cancelled')
          AND NEW.batch_id IS NOT NULL)
    EXECUTE FUNCTION record_batch_event()
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
