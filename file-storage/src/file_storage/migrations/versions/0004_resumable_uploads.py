"""Add resumable uploads."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("length", sa.BigInteger),
        sa.Column("metadata_header", sa.Text, nullable=False),
        sa.Column("concat_header", sa.Text),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("extension", sa.String(255), nullable=False),
        sa.Column("comment", sa.String(10_000), nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False, index=True),
        sa.Column("file_id", _id, sa.ForeignKey("files.id", ondelete="SET NULL"), index=True),
        sa.Column("finished", sa.Boolean, nullable=False),
    )
