"""Add an index of tasks that are pending again: claims search for them separately, and start above claimed tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_RETURNED = sa.text("status = 'pending' AND (attempt > 0 OR restarts > 0)")


def upgrade() -> None:
    op.create_index(
        "tasks_returned",
        "tasks",
        [sa.text("priority DESC"), "owner", "id"],
        postgresql_where=_RETURNED,
        sqlite_where=_RETURNED,
    )
