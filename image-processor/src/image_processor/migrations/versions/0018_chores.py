"""Add the table of chores: a chore runs in one process of all, which claims it there when it is due."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "task_chores",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("due_at", sa.Double, nullable=False),
    )
