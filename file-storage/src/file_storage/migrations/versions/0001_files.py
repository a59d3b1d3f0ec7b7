"""Create files, blobs and idempotency keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("file_count", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "files",
        sa.Column("id", _id, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("extension", sa.String(255), nullable=False),
        sa.Column("comment", sa.String(10_000), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), sa.ForeignKey("blobs.sha256"), nullable=False, index=True),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("file_id", _id, sa.ForeignKey("files.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("created_at", sa.Double, nullable=False, index=True),
    )
