"""Owners, keys, browser sessions, and the audit trail."""

import sqlalchemy as sa
from alembic import op
from service_kit.database import Id

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "access_owners",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("max_bytes", sa.BigInteger),
        sa.Column("max_files", sa.BigInteger),
        sa.Column("max_pending_tasks", sa.BigInteger),
        sa.Column("max_requests_per_second", sa.Integer),
        sa.Column("max_listeners", sa.Integer),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("owner", sa.String(64), sa.ForeignKey("access_owners.name"), nullable=False, index=True),
        sa.Column("note", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("last_used_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
    )
    op.create_table(
        "access_sessions",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column(
            "key_id", sa.String(16), sa.ForeignKey("access_keys.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("expires_at", sa.Double, nullable=False, index=True),
    )
    op.create_table(
        "access_audit",
        sa.Column("id", Id, primary_key=True),
        sa.Column("time", sa.Double, nullable=False, index=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(16)),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("action", sa.String(255), nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sqlite_autoincrement=True,
    )
