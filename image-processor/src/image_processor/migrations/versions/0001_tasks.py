"""Create tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_pending = sa.text("status = 'pending'")
_processing = sa.text("status = 'processing'")


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", _id, primary_key=True),
        sa.Column("source_id", sa.BigInteger, nullable=False),
        sa.Column("result_id", sa.BigInteger),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("algorithm", sa.String(64), nullable=False),
        sa.Column("params", sa.JSON),
        sa.Column("error", sa.Text),
        sa.Column("result_key", sa.String(36), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("lease_until", sa.Double),
        sa.Column("claimed_by", sa.String(255)),
        sa.Column("retry_since", sa.Double),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("tasks_pending", "tasks", ["due_at"], postgresql_where=_pending, sqlite_where=_pending)
    op.create_index("tasks_leased", "tasks", ["lease_until"], postgresql_where=_processing, sqlite_where=_processing)
