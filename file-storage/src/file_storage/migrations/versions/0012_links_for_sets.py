"""Add links for sets of files, which may have a password.

On PostgreSQL no row is rewritten; SQLite cannot make a column nullable without a new table.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("links", "file_id", existing_type=_id, nullable=True)
        for column in _columns():
            op.add_column("links", column)
    else:
        _copy_links()
    op.create_index("ix_links_token_digest", "links", ["token_digest"], unique=True)


def _columns() -> Sequence[sa.Column[object]]:
    return [
        sa.Column("token_digest", sa.String(64)),
        sa.Column("file_ids", sa.JSON),
        sa.Column("file_count", sa.Integer, nullable=False, server_default="1"),
        sa.Column("sees_all", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("password_hash", sa.String(255)),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failures_until", sa.Double, nullable=False, server_default="0"),
    ]


def _copy_links() -> None:
    for columns in ("file_id", "expires_at", "owner_id"):
        op.drop_index(f"ix_links_{columns}", "links")
    op.rename_table("links", "earlier_links")
    op.create_table(
        "links",
        sa.Column("id", _id, primary_key=True),
        sa.Column("file_id", _id, sa.ForeignKey("files.id", ondelete="CASCADE"), index=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False, index=True),
        sa.Column("disposition", sa.String(16)),
        sa.Column("note", sa.String(255), nullable=False),
        *_columns(),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_links_owner_id", "links", ["owner", "id"])
    op.execute("""
        INSERT INTO links (id, file_id, owner, created_at, expires_at, disposition, note)
        SELECT id, file_id, owner, created_at, expires_at, disposition, note FROM earlier_links
    """)
    # With the old table, SQLite would forget which ids were used, and assign those of revoked links again.
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'links'")
    op.execute("UPDATE sqlite_sequence SET name = 'links' WHERE name = 'earlier_links'")
    op.drop_table("earlier_links")
