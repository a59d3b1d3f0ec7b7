"""Make the retry budget a sum of durations, so that a step of the clock spends none of it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("retry_seconds", sa.Double, nullable=False, server_default="0"))
    op.drop_column("tasks", "retry_since")
