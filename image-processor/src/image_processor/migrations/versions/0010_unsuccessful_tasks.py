"""Add an index for counting an owner's failed and cancelled tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_unsuccessful = sa.text("status IN ('error', 'cancelled')")


def upgrade() -> None:
    op.create_index(
        "tasks_unsuccessful",
        "tasks",
        ["owner", "status", "id"],
        postgresql_where=_unsuccessful,
        sqlite_where=_unsuccessful,
    )
