"""Order the events of one task or batch as they happened, though the transactions that wrote them overlapped.

Readers order events by transaction. A transaction can get its id, wait for another one that got a later id, and write
its event after it. Such an event gets the latest id that has ended: readers read only below the oldest transaction that
runs here, so none of them has read past the id while the writer runs.
"""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # A trigger's statement takes a new snapshot, so the latest id covers every transaction it waited for.
        op.execute("""
            ALTER TABLE task_events ALTER COLUMN transaction_id SET DEFAULT greatest(
                pg_current_xact_id()::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1
            )
        """)
