"""Add indexes of events by task and by batch: a listener who comes back after a long time reads only its own."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_OF_BATCH = sa.text("batch_id IS NOT NULL")


def upgrade() -> None:
    op.create_index("task_events_task", "task_events", ["task_id"])
    op.create_index(
        "task_events_batch", "task_events", ["batch_id"], postgresql_where=_OF_BATCH, sqlite_where=_OF_BATCH
    )
