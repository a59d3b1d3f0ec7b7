"""Count lost workers of a task separately from crashes of its own process."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("losses", sa.Integer, nullable=False, server_default="0"))
